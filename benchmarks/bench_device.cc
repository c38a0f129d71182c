#include "bench_device.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "base/error.h"
#include "base/system.h"
#include "kernels/load_cuda.h"

namespace sdtune {

c10::Device open_bench_device(const BenchJob& job) {
  if (!job.cuda) return c10::kCPU;
  if (!load_cuda()) throw UsageError("there is no usable NVIDIA GPU", "--device=cuda");
  return {c10::kCUDA, 0};
}

uint64_t peak_bytes(c10::Device device) {
  if (!device.is_cuda()) return peak_resident_bytes();
  using c10::CachingAllocator::StatType;
  const auto stats = c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<size_t>(StatType::AGGREGATE)].peak;
}

double LapClock::lap() {
  if (device_.is_cuda()) c10::impl::getDeviceGuardImpl(c10::kCUDA)->synchronizeDevice(0);
  const auto now = std::chrono::steady_clock::now();
  return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
}

}  // namespace sdtune
