#include "train/device_memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/system.h"

namespace sdtune {

namespace {

// The allocator takes no device without a number, which means the current one.
c10::DeviceIndex index_of(c10::Device device) {
  if (device.has_index()) return device.index();
  return c10::impl::VirtualGuardImpl(device.type()).getDevice().index();
}

}  // namespace

uint64_t bytes_in_use(c10::Device device) {
  if (!device.is_cuda()) return resident_bytes();
  using c10::CachingAllocator::StatType;
  const auto stats = c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(index_of(device));
  return stats.allocated_bytes[static_cast<size_t>(StatType::AGGREGATE)].current;
}

uint64_t bytes_free(c10::Device device) {
  if (!device.is_cuda()) return available_bytes();
  return c10::getDeviceAllocator(c10::kCUDA)->getMemoryInfo(index_of(device)).first;
}

bool is_out_of_memory(const c10::Error& error) {
  // The CPU's allocator has no class of its own for it.
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what()).find("can't allocate memory") != std::string_view::npos;
}

}  // namespace sdtune
