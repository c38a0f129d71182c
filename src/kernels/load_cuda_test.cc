#include "kernels/load_cuda.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "base/shared_library.h"

namespace sdtune {
namespace {

TEST(LoadCuda, TorchAgreesAboutWhatIsThere) {
  const bool usable = load_cuda();
  EXPECT_EQ(usable, at::hasCUDA());
  EXPECT_EQ(usable, load_cuda()) << "a second call answers otherwise";
  if (usable) {
    EXPECT_EQ((at::ones({2}, at::kCUDA) + 1).sum().item<float>(), 4);
  }
}

TEST(LoadCuda, LeavesNothingOpenWithoutADriver) {
  if (open_library("libcuda.so.1").handle != nullptr) GTEST_SKIP() << "a driver is there";
  EXPECT_FALSE(load_cuda());
  EXPECT_EQ(folder_of_loaded_library("libtorch_cuda.so"), "");
}

}  // namespace
}  // namespace sdtune
