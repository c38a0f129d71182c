// The thin layers that every model stands on: sizes, weights under torch's names, and the choice of
// the kernel that runs beneath. Parameters begin as meta tensors of the right shape, so that a
// loader knows what it must bring (`slot = tensor` fills one). Weights of another type than the
// input are cast to the input's; nothing here depends on autocast.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/parameters.h"

namespace sdtune {

// A parameter that has a shape and no values yet.
at::Tensor unloaded(at::IntArrayRef shape);

struct Linear {
  Linear(int64_t in_features, int64_t out_features, bool has_bias = true);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]

  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined
};

struct ConvShape {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 1;
};

struct Conv2d {
  explicit Conv2d(const ConvShape& shape);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [B, in, H, W] -> [B, out, H', W']

  int64_t stride;
  int64_t padding;
  at::Tensor weight;  // [out, in, kernel, kernel]
  at::Tensor bias;    // [out]
};

struct GroupNorm {
  GroupNorm(int64_t groups, int64_t channels, double eps);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [B, C, …], the same shape
  at::Tensor forward_silu(
      const at::Tensor& x) const;  // silu(forward(x)), the pair that the models use most

  int64_t groups;
  double eps;
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]
};

struct LayerNorm {
  explicit LayerNorm(int64_t channels, double eps = 1e-5);
  void visit(ParameterVisitor& v);
  at::Tensor forward(const at::Tensor& x) const;  // [..., C], the same shape

  double eps;
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]
};

struct Embedding {
  Embedding(int64_t rows, int64_t channels);
  void visit(ParameterVisitor& v);
  // ids int64 [...] -> [..., C] in the weight's own type: a cast of the whole table would cost
  // more.
  at::Tensor forward(const at::Tensor& ids) const;

  at::Tensor weight;  // [rows, C]
};

}  // namespace sdtune
