#include "train/run_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sdtune {
namespace {

TEST(TimesOfAStep, HaveTheirPartsOnACpuAlone) {
  StepResult result;
  result.encode_s = 1;
  result.unet_s = 2;
  result.update_s = 4;
  const nlohmann::ordered_json whole = {{"data_s", 0.5}, {"step_s", 7.0}};
  EXPECT_EQ(times_of(result, 0.5, c10::Device(c10::kCUDA, 0)), whole);
  nlohmann::ordered_json split = whole;
  split.update({{"encode_s", 1.0}, {"unet_s", 2.0}, {"update_s", 4.0}});
  EXPECT_EQ(times_of(result, 0.5, c10::kCPU), split);
}

}  // namespace
}  // namespace sdtune
