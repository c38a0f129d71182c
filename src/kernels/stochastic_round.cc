#include "kernels/stochastic_round.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "base/error.h"
#include "kernels/rounding_bits.h"
#include "kernels/stochastic_round_cpu.h"

namespace sdtune {

namespace {

constexpr const char* kOperator = "sdtune::stochastic_round_";

// Both tensors are dense with the same strides.
void round_on_cpu(const at::Tensor& out, const at::Tensor& value, int64_t key) {
  const auto* from = value.const_data_ptr<float>();
  auto* to = static_cast<BFloat16Bits*>(out.mutable_data_ptr());
  const int64_t count = value.numel();
  const int64_t blocks = (count + kRoundingBlock - 1) / kRoundingBlock;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kRoundingBlock;
      stochastic_round_cpu(from + first, to + first, std::min(kRoundingBlock, count - first),
                           static_cast<uint64_t>(key), block);
    }
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(sdtune, m) {
  m.def("stochastic_round_(Tensor(a!) out, Tensor value, int key) -> ()");
}

TORCH_LIBRARY_IMPL(sdtune, CPU, m) { m.impl("stochastic_round_", round_on_cpu); }

void store_rounded(const at::Tensor& out, const at::Tensor& value, uint64_t key) {
  if (out.scalar_type() != at::kBFloat16 || value.scalar_type() != at::kFloat ||
      out.sizes() != value.sizes()) {
    throw Error("stochastic rounding takes fp32 values and a bf16 tensor of their shape",
                kOperator);
  }
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sdtune::stochastic_round_", "")
                             .typed<void(const at::Tensor&, const at::Tensor&, int64_t)>();
  const at::NoGradGuard no_grad;
  const at::Tensor target = out.detach();
  const auto bits = static_cast<int64_t>(key);
  if (target.is_non_overlapping_and_dense() && target.strides() == value.strides()) {
    op.call(target, value, bits);
    return;
  }
  const at::Tensor dense = at::empty(target.sizes(), target.options());
  op.call(dense, value.contiguous(), bits);
  target.copy_(dense);
}

}  // namespace sdtune
