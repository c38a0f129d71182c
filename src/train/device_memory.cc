#include "train/device_memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "base/system.h"

namespace sdtune {

namespace {

// The allocator takes no device without a number, which means the current one.
c10::DeviceIndex index_of(c10::Device device) {
  if (device.has_index()) return device.index();
  return c10::impl::VirtualGuardImpl(device.type()).getDevice().index();
}

// Over all of torch's pools.
c10::CachingAllocator::Stat total(const c10::CachingAllocator::StatArray& stats) {
  return stats[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

c10::CachingDeviceAllocator::DeviceStats stats_of(c10::Device device) {
  return c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(index_of(device));
}

}  // namespace

uint64_t bytes_in_use(c10::Device device) {
  if (!device.is_cuda()) return resident_bytes();
  return total(stats_of(device).allocated_bytes).current;
}

uint64_t peak_bytes_in_use(c10::Device device) {
  if (!device.is_cuda()) return peak_resident_bytes();
  return total(stats_of(device).allocated_bytes).peak;
}

void reset_peak_bytes(c10::Device device) {
  if (device.is_cuda()) c10::getDeviceAllocator(c10::kCUDA)->resetPeakStats(index_of(device));
}

uint64_t bytes_free(c10::Device device) {
  if (!device.is_cuda()) return available_bytes();
  const auto stats = stats_of(device);
  const uint64_t held = total(stats.reserved_bytes).current - total(stats.allocated_bytes).current;
  return c10::getDeviceAllocator(c10::kCUDA)->getMemoryInfo(index_of(device)).first + held;
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) {
    return true;
  }
  // The CPU's allocator and the libraries have no class of their own for it.
  constexpr std::array<std::string_view, 5> kWords = {
      "can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
      "CUDNN_STATUS_ALLOC_FAILED", "ALLOCATION_FAILED"};
  const std::string_view what = error.what();
  return std::ranges::any_of(
      kWords, [&](std::string_view words) { return what.find(words) != std::string_view::npos; });
}

}  // namespace sdtune
