// The device that is timed: tensors go there, and a clock may only be read when it has finished.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <utility>

#include "bench_job.h"

namespace sdtune {

// Opens CUDA where it was asked for; UsageError where there is none.
c10::Device open_bench_device(const BenchJob& job);

// The process's highest resident size, or what torch held of a GPU's memory at most.
uint64_t peak_bytes(c10::Device device);

class LapClock {
 public:
  explicit LapClock(c10::Device device) : device_(device) {}
  // Seconds since the last call, the device's work included.
  double lap();

 private:
  c10::Device device_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace sdtune
