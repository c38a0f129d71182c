// Inputs of a group norm and what comes out of it, for the tests of each of its kernels.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace sdtune {

struct Tensors {
  at::Tensor x, weight, bias, grad;

  Tensors to(at::ScalarType type) const {
    return {x.to(type), weight.to(type), bias.to(type), grad.to(type)};
  }
};

// x and its gradient of `type`; `mean`: how far x is from zero.
inline Tensors make_tensors(at::IntArrayRef shape, at::ScalarType type, double mean = 0) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
  Tensors made;
  made.x = (at::randn(shape, generator) * 2 + mean).to(type);
  made.weight = at::randn({shape[1]}, generator);
  made.bias = at::randn({shape[1]}, generator);
  made.grad = at::randn(shape, generator).to(type);
  return made;
}

struct Results {
  at::Tensor out, x, weight, bias;  // the result, then gradients
};

// function(x, weight, bias) and its gradients.
template <class Function>
Results run(const Tensors& tensors, Function function) {
  const at::Tensor x = tensors.x.detach().requires_grad_(true);
  const at::Tensor weight = tensors.weight.detach().requires_grad_(true);
  const at::Tensor bias = tensors.bias.detach().requires_grad_(true);
  const at::Tensor out = function(x, weight, bias);
  const auto grads = torch::autograd::grad({out}, {x, weight, bias}, {tensors.grad});
  return {out.detach(), grads[0], grads[1], grads[2]};
}

}  // namespace sdtune
