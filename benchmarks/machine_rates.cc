#include "machine_rates.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "base/system.h"
#include "bench_device.h"

namespace sdtune {

namespace {

constexpr int kTries = 7;

double shortest(c10::Device device, const std::function<void()>& work) {
  work();
  double best = std::numeric_limits<double>::max();
  LapClock clock(device);
  for (int i = 0; i < kTries; ++i) {
    clock.lap();
    work();
    best = std::min(best, clock.lap());
  }
  return best;
}

}  // namespace

double product_rate(c10::Device device, at::ScalarType type, bool tiny) {
  // What a processor does not compute in takes minutes at full size.
  const bool is_slow = device.is_cpu() && type != at::kFloat && !processor_computes_bf16();
  const int64_t side = tiny ? 64 : is_slow ? 256 : device.is_cuda() ? 8192 : 2048;
  const at::Tensor a = at::randn({side, side}).to(device, type);
  const at::Tensor b = at::randn({side, side}).to(device, type);
  at::Tensor out = at::empty_like(a);
  const double seconds = shortest(device, [&] { at::mm_out(out, a, b); });
  const auto n = static_cast<double>(side);
  return 2 * n * n * n / seconds;
}

double copy_rate(c10::Device device) {
  const at::Tensor from =
      at::ones({int64_t{1} << 26}, at::TensorOptions(at::kFloat).device(device));
  at::Tensor to = at::empty_like(from);
  const double seconds = shortest(device, [&] { to.copy_(from); });
  return 2.0 * static_cast<double>(from.nbytes()) / seconds;
}

}  // namespace sdtune
