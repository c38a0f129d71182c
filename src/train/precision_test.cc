#include "train/precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr PrecisionOptions kBf16{.mixed_precision = MixedPrecision::kBf16};
const at::Device kGpu(at::kCUDA, 0);

TEST(Precision, RefusesBf16OnAGpuWithoutIt) {
  try {
    choose_precision(kBf16, kGpu, /*computes_bf16=*/false, "--bf16");
    FAIL() << "bf16 was accepted";
  } catch (const UsageError& error) {
    EXPECT_EQ(error.where(), "--bf16");
    EXPECT_THAT(error.hint(), testing::HasSubstr("fp16"));
  }
}

TEST(Precision, IsWhatWasAskedForWhereTheDeviceComputesIt) {
  EXPECT_EQ(choose_precision(kBf16, kGpu, true).compute, at::kBFloat16);
  EXPECT_EQ(choose_precision(kBf16, at::kCPU, true).compute, at::kBFloat16);
  EXPECT_EQ(choose_precision(kBf16, at::kCPU, false).compute, at::kFloat);
  const PrecisionOptions fp16{.mixed_precision = MixedPrecision::kFp16};
  EXPECT_EQ(choose_precision(fp16, kGpu, false).compute, at::kHalf);
  EXPECT_EQ(choose_precision({}, kGpu, false).compute, at::kFloat);
}

}  // namespace
}  // namespace sdtune
