#include "kernels/gemm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <time.h>

namespace sdtune {
namespace {

double seconds_of(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The share of the process's work that the calling thread does itself.
double own_share(int threads) {
  at::set_num_threads(threads);
  const at::Tensor a = at::randn({512, 512}), b = at::randn({512, 512});
  const double all = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  const double own = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < 20; ++i) gemm(a, b);
  return (seconds_of(CLOCK_THREAD_CPUTIME_ID) - own) / (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - all);
}

// at::parallel_for() is a plain loop where OpenMP is not compiled in, and nobody is told.
TEST(Gemm, IsSharedByTheThreads) {
  const int before = at::get_num_threads();
  EXPECT_GT(own_share(1), 0.95);
  EXPECT_LT(own_share(2), 0.75);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace sdtune
