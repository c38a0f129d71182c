#include "optim/update_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace sdtune {
namespace {

at::Tensor shape(at::ScalarType type, std::vector<int64_t> sizes = {4096, 1024}) {
  return at::empty(sizes, at::TensorOptions(type).device(at::kMeta));
}

double bytes(const std::string& type, const at::Tensor& like,
             const std::vector<std::string>& arguments = {}) {
  return update_bytes_per_element(type, OptimizerArguments(arguments), like);
}

TEST(UpdateMemory, IsNothingForKernelsInOnePass) {
  for (const char* type : {"AdamW", "SGDNesterov", "AdamW8bit", "Lion8bit", "PagedAdamW"}) {
    EXPECT_LT(bytes(type, shape(at::kFloat)), 0.05) << type;
  }
  const at::Tensor convolution = shape(at::kFloat, {1280, 640, 3, 3});
  EXPECT_LT(bytes("AdamW8bit", convolution.contiguous(at::MemoryFormat::ChannelsLast)), 0.05);
}

TEST(UpdateMemory, CountsFp32CopiesOfNarrowWeightsWhereARuleNeedsThem) {
  EXPECT_NEAR(bytes("AdamW", shape(at::kBFloat16)), 8, 0.05);
  EXPECT_LT(bytes("AdamW8bit", shape(at::kBFloat16)), 0.05);
  const at::Tensor convolution = shape(at::kBFloat16, {1280, 640, 3, 3});
  EXPECT_LT(bytes("AdamW8bit", convolution.contiguous(at::MemoryFormat::ChannelsLast)), 0.05);
  EXPECT_NEAR(bytes("AdamW8bit", shape(at::kBFloat16), {"stochastic_rounding=False"}), 8, 0.05);
  EXPECT_NEAR(bytes("AdamW8bit", shape(at::kHalf)), 8, 0.05);
}

TEST(UpdateMemory, CountsWhatARuleComputesOnTheWay) {
  EXPECT_NEAR(bytes("Lion", shape(at::kFloat)), 4, 0.1);
  EXPECT_NEAR(bytes("AdaFactor", shape(at::kFloat)), 4, 0.1);
  EXPECT_NEAR(bytes("AdaFactor", shape(at::kFloat), {"weight_decay=0.1"}), 4, 0.1);
  EXPECT_NEAR(bytes("AdaFactor", shape(at::kBFloat16)), 12, 0.1);
  EXPECT_NEAR(bytes("CAME", shape(at::kFloat)), 4, 0.1);
  // Each factor of a convolution is a third of it.
  EXPECT_NEAR(bytes("AdaFactor", shape(at::kFloat, {1280, 640, 3, 3})), 4 * (1 + 2.0 / 3), 0.1);
}

TEST(UpdateMemory, IsThatOfLaterStepsToo) {
  // The first five steps do without the second moment.
  EXPECT_NEAR(bytes("RAdam", shape(at::kFloat)), 4, 0.05);
}

TEST(UpdateMemory, ReachesRulesThatTakeAllTensorsAtOnce) {
  EXPECT_NEAR(bytes("Prodigy", shape(at::kFloat)), 4, 0.05);
  EXPECT_GE(bytes("DAdaptAdam", shape(at::kFloat)), 4);
}

TEST(UpdateMemory, KnowsSmallAndOddParameters) {
  EXPECT_LT(bytes("AdamW", shape(at::kFloat, {320})), 1);
  EXPECT_LT(bytes("AdamW", shape(at::kFloat, {8, 1 << 20})), 0.05);
}

}  // namespace
}  // namespace sdtune
