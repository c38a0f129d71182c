#include "kernels/gemm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/grain.h"
#include "kernels/recorded.h"

namespace sdtune {

namespace {

// Two tiles of rows.
constexpr int64_t kRowsTogether = 12;

// Calls use(begin, end) for parts of 0 … size that begin at multiples of `unit`, of which each
// costs `cost`.
template <class Use>
void split(int64_t size, int64_t unit, int64_t cost, Use use) {
  at::parallel_for(0, (size + unit - 1) / unit, grain_for(cost), [&](int64_t begin, int64_t end) {
    use(begin * unit, std::min(size, end * unit));
  });
}

}  // namespace

// Each thread lays out all of b, or its columns of it, anew: so the shorter side stays whole.
void gemm(const GemmCall& call) {
  if (call.rows >= call.columns) {
    const int64_t cost = kRowsTogether * call.columns * call.depth;
    split(call.rows, kRowsTogether, cost, [&](int64_t begin, int64_t end) {
      GemmCall part = call;
      part.a.data += begin * call.a.row_step;
      part.c.data += begin * call.c.row_step;
      if (call.bias != nullptr) part.bias += begin;
      part.rows = end - begin;
      gemm_cpu(part);
    });
    return;
  }
  const auto unit = static_cast<int64_t>(call.tile);
  split(call.columns, unit, unit * call.rows * call.depth, [&](int64_t begin, int64_t end) {
    GemmCall part = call;
    part.b.data += begin * call.b.column_step;
    part.c.data += begin * call.c.column_step;
    part.columns = end - begin;
    gemm_cpu(part);
  });
}

bool is_float_on_cpu(const at::Tensor& t) {
  return t.device().is_cpu() && t.scalar_type() == at::kFloat && t.layout() == at::kStrided;
}

StridedMatrix<const float> strided(const at::Tensor& matrix) {
  TORCH_CHECK(matrix.dim() == 2 && matrix.device().is_cpu(), "a matrix on the CPU is needed, not ",
              matrix.sizes(), " on ", matrix.device());
  const StridedMatrix<const float> result = {matrix.const_data_ptr<float>(), matrix.stride(0),
                                             matrix.stride(1)};
  TORCH_CHECK(result.row_step == 1 || result.column_step == 1,
              "a matrix whose rows or columns are side by side is needed");
  return result;
}

at::Tensor gemm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  TORCH_CHECK(a.size(1) == b.size(0), "matrices of ", a.sizes(), " and ", b.sizes(),
              " do not multiply");
  return recorded("sdtune::mm", {a, b}, [&] {
    const at::Tensor c = at::empty({a.size(0), b.size(1)}, a.options());
    const at::Tensor dense = bias.defined() ? bias.contiguous() : bias;
    gemm({strided(a),
          strided(b),
          {c.mutable_data_ptr<float>(), c.size(1), 1},
          c.size(0),
          c.size(1),
          a.size(1),
          dense.defined() ? dense.const_data_ptr<float>() : nullptr});
    return c;
  });
}

}  // namespace sdtune
