#include "optim/update_memory.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/memory_meter.h"
#include "optim/make_optimizer.h"

namespace sdtune {

namespace {

// The same with fewer rows, where it is large.
at::Tensor small_parameter(const at::Tensor& like) {
  constexpr int64_t kElements = 1 << 16;
  std::vector<int64_t> sizes = like.sizes().vec();
  if (!sizes.empty()) {
    const int64_t row = std::max<int64_t>(1, like.numel() / std::max<int64_t>(1, sizes[0]));
    sizes[0] = std::min(sizes[0], (kElements + row - 1) / row);
  }
  return at::ones(sizes, like.scalar_type()).contiguous(like.suggest_memory_format());
}

}  // namespace

double update_bytes_per_element(const std::string& optimizer_type,
                                const OptimizerArguments& arguments, const at::Tensor& like) {
  // RAdam and its relatives move by the gradient alone at first, and so in less memory.
  constexpr int64_t kSteps = 8;
  const at::NoGradGuard no_grad;
  const auto meter = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard metered(c10::DebugInfoKind::PROFILER_STATE, meter);
  at::Tensor parameter = small_parameter(like).requires_grad_(true);
  const auto optimizer = make_optimizer(optimizer_type, {{{{"p", parameter}}, 1.0}}, arguments);
  optimizer->visit_state([](const std::string&, at::Tensor&) {});  // makes it
  int64_t most = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    parameter.mutable_grad() = at::full_like(parameter, 1e-3);
    meter->start();
    optimizer->step({.step = step});
    most = std::max(most, meter->peak_since_start());
    optimizer->zero_grad();
  }
  return static_cast<double>(most) / static_cast<double>(parameter.numel());
}

}  // namespace sdtune
