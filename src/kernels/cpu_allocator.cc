#include "kernels/cpu_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/resource.h>

#include "base/block_range.h"

namespace sdtune {

namespace {

// Smaller blocks come from malloc, which keeps their pages well enough.
constexpr size_t kLeastKept = size_t{1} << 20;
// Freed pages are resident or not, but their addresses stay: this many times the machine's memory
// leaves room for any order of blocks.
constexpr uint64_t kAddressesPerByte = 4;

// Lives as long as the process, because tensors may be freed until its very end.
BlockRange* kept_memory = nullptr;

void deallocate(void* data) {
  if (data == nullptr) return;
  c10::profiledCPUMemoryReporter().Delete(data);
  if (kept_memory->holds(data)) {
    kept_memory->give_back(data);
  } else {
    c10::free_cpu(data);
  }
}

class KeepingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    // What the machine cannot hold must fail with torch's own error, not on its first pages' use.
    void* data = bytes >= kLeastKept && bytes <= most_ ? kept_memory->take(bytes) : nullptr;
    if (data == nullptr) data = allocate_elsewhere(bytes);
    c10::profiledCPUMemoryReporter().New(data, bytes);
    return {data, data, &deallocate, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &deallocate; }

  void copy_data(void* to, const void* from, size_t count) const override {
    default_copy_data(to, from, count);
  }

 private:
  static void* allocate_elsewhere(size_t bytes) {
    try {
      return c10::alloc_cpu(bytes);
    } catch (const c10::Error&) {
      c10::profiledCPUMemoryReporter().OutOfMemory(bytes);
      throw;
    }
  }

  uint64_t most_ = BlockRange::bytes_of_machine();
};

// Where addresses are rationed (ulimit -v), those kept aside would be missing elsewhere.
bool addresses_are_limited() {
  rlimit limit = {};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

}  // namespace

void use_kept_memory() {
#if defined(__SANITIZE_ADDRESS__)
  return;  // it watches malloc's blocks alone
#endif
  static const bool used = [] {
    if (addresses_are_limited()) return false;
    kept_memory = new BlockRange(kAddressesPerByte * BlockRange::bytes_of_machine());
    c10::SetCPUAllocator(new KeepingAllocator);
    return true;
  }();
  static_cast<void>(used);
}

void release_free_memory() {
  if (kept_memory != nullptr) kept_memory->release_free_memory();
}

}  // namespace sdtune
