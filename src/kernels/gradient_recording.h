// What operators with gradients of their own ask of autograd.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "base/error.h"

namespace sdtune {

// Whether what is computed from these, some of which may be undefined, is recorded for a gradient.
inline bool is_recorded(std::initializer_list<at::Tensor> inputs) {
  return at::GradMode::is_enabled() &&
         std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& input) {
           return input.defined() && input.requires_grad();
         });
}

// For a backward pass, which is recorded for a second derivative only: throws Error where it is.
inline void refuse_second_derivative(const char* what, const char* operator_name,
                                     std::initializer_list<at::Tensor> inputs) {
  if (!is_recorded(inputs)) return;
  throw Error(std::string(what) + " has no second derivative", operator_name,
              "run the backward pass without create_graph");
}

}  // namespace sdtune
