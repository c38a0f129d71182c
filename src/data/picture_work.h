// A loop over pictures on threads: tasks of several pictures each, a progress line, the first
// exception.
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

// Calls work(i) for each i below `count`, on several threads at once, each of which may decode
// pictures. Throws what `work` throws.
void for_each_picture(size_t count, const WorkOptions& options,
                      const std::function<void(size_t)>& work);

}  // namespace sdtune
