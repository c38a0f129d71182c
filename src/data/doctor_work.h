// A loop over pictures on threads, for the doctor: chunks, a progress line, the first exception.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace sdtune {

struct WorkOptions {
  std::string label;  // of the progress line
  int threads = 4;
  size_t chunk = 64;  // pictures in a task
};

// Calls work(i) for each i below `count`, on several threads at once. Ends early on a stop signal
// with an Error. Throws what `work` throws.
void work_through(size_t count, const WorkOptions& options,
                  const std::function<void(size_t)>& work);

}  // namespace sdtune
