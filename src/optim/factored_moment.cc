#include "optim/factored_moment.h"

#include <cmath>

namespace sdtune {

bool is_factored(const at::Tensor& parameter) { return parameter.dim() >= 2; }

void add_factors(const at::Tensor& parameter, const std::string& name, ParameterState& state) {
  const auto options = parameter.options().dtype(at::kFloat).requires_grad(false);
  std::vector<int64_t> rows = parameter.sizes().vec();
  std::vector<int64_t> columns = rows;
  rows.pop_back();
  columns.erase(columns.end() - 2);
  state.add(name + "_row", at::zeros(rows, options));
  state.add(name + "_col", at::zeros(columns, options));
}

at::Tensor factored_inverse_root(ParameterState& state, const std::string& name, at::Tensor square,
                                 double decay) {
  at::Tensor& row = state[name + "_row"];
  at::Tensor& column = state[name + "_col"];
  row.mul_(decay).add_(square.mean(-1), 1 - decay);
  column.mul_(decay).add_(square.mean(-2), 1 - decay);
  const at::Tensor row_factor = row.div(row.mean(-1, /*keepdim=*/true)).rsqrt_().unsqueeze(-1);
  return at::mul_out(square, row_factor, column.unsqueeze(-2).rsqrt());
}

at::Tensor root_mean_square(const at::Tensor& tensor) {
  return tensor.norm().div(std::sqrt(static_cast<double>(tensor.numel())));
}

}  // namespace sdtune
