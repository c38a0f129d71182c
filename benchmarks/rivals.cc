#include "rivals.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <ctime>

namespace sdtune {

namespace {

double milliseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

double time_of(const std::function<void()>& run) {
  const clockid_t clock = at::get_num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
  const double start = milliseconds(clock);
  run();
  return milliseconds(clock) - start;
}

}  // namespace

std::vector<double> medians(const std::vector<std::function<void()>>& rivals, int rounds) {
  std::vector<std::vector<double>> times(rivals.size());
  for (const auto& run : rivals) run();
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < rivals.size(); ++i) times[i].push_back(time_of(rivals[i]));
  }
  std::vector<double> result;
  for (auto& of_one : times) {
    std::nth_element(of_one.begin(), of_one.begin() + rounds / 2, of_one.end());
    result.push_back(of_one[rounds / 2]);
  }
  return result;
}

}  // namespace sdtune
