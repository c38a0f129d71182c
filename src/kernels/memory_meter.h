// Hears of each block that torch takes and frees on this thread, while a c10::DebugInfoGuard of the
// kind PROFILER_STATE holds it.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>

namespace sdtune {

class MemoryMeter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t change, size_t, size_t, c10::Device) override {
    now_ += change;
    peak_ = std::max(peak_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t now() const { return now_; }  // bytes taken and not freed since the guard began
  void start() { start_ = peak_ = now_; }
  int64_t peak_since_start() const { return peak_ - start_; }

 private:
  int64_t now_ = 0, start_ = 0, peak_ = 0;
};

}  // namespace sdtune
