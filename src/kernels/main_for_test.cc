// The main of tests that may use CUDA.
#include <gtest/gtest.h>

#include "kernels/load_cuda.h"

int main(int argc, char** argv) {
  // Ahead of the first test: any seed that is set and any backward pass asks torch about CUDA.
  sdtune::load_cuda();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
