// What the norms' autograd functions share: types, parameters, and that they have no second
// derivative.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <vector>

#include "base/error.h"
#include "kernels/cpu_loops.h"

namespace sdtune {

inline bool is_norm_type(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// Calls use(T*{}) with the storage type of x, one of is_norm_type().
template <class Use>
void with_norm_type(const at::Tensor& x, Use use) {
  if (x.scalar_type() == at::kFloat) {
    use(static_cast<float*>(nullptr));
  } else {
    use(static_cast<BFloat16Bits*>(nullptr));
  }
}

// fp32 of a [C] parameter.
inline std::vector<float> norm_values(const at::Tensor& parameter) {
  const at::Tensor single = parameter.detach().to(at::kFloat).contiguous();
  const auto* data = single.const_data_ptr<float>();
  return {data, data + single.numel()};
}

// In a backward pass gradients are recorded only for a second derivative.
inline void refuse_second_derivative(const at::Tensor& grad, const char* what) {
  if (!at::GradMode::is_enabled() || !grad.requires_grad()) return;
  throw Error(fmt::format("{} has no second derivative", what), what,
              "run the backward pass without create_graph");
}

}  // namespace sdtune
