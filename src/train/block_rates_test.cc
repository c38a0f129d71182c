#include "train/block_rates.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "models/config.h"

namespace sdtune {
namespace {

TEST(BlockRates, BlocksAreThoseOfTheOriginalCode) {
  const UNetConfig config;
  EXPECT_EQ(count_blocks(config), 25);
  const std::pair<const char*, int64_t> expected[] = {
      {"conv_in.weight", 0},
      {"time_embedding.linear_1.bias", 0},
      {"down_blocks.0.resnets.0.conv1.weight", 1},
      {"down_blocks.0.attentions.1.proj_in.weight", 2},
      {"down_blocks.0.downsamplers.0.conv.weight", 3},
      {"down_blocks.1.resnets.0.norm1.weight", 4},
      {"down_blocks.2.downsamplers.0.conv.bias", 9},
      {"down_blocks.3.resnets.1.conv2.weight", 11},
      {"mid_block.attentions.0.proj_out.bias", 12},
      {"mid_block.resnets.1.conv1.weight", 12},
      {"up_blocks.0.resnets.0.conv1.weight", 13},
      {"up_blocks.0.upsamplers.0.conv.weight", 15},
      {"up_blocks.1.attentions.0.norm.weight", 16},
      {"up_blocks.3.resnets.2.conv2.weight", 24},
      {"conv_norm_out.weight", 24},
      {"conv_out.bias", 24}};
  for (const auto& [name, block] : expected) EXPECT_EQ(block_of(config, name), block) << name;
}

TEST(BlockRates, OneNumberForEachBlock) {
  const UNetConfig config;
  std::string text = "0";
  for (int i = 1; i < 25; ++i) text += fmt::format(", {}e-6", i);
  const BlockRates rates(text);
  rates.check(config);
  EXPECT_EQ(rates.of(config, "conv_in.weight", 1).value, 0);
  EXPECT_EQ(rates.of(config, "mid_block.resnets.0.conv1.weight", 1).value, 12e-6);
  EXPECT_EQ(rates.of(config, "conv_out.bias", 1).part, "block_24");
  EXPECT_THROW(BlockRates("1e-6,1e-6").check(config), UsageError);
}

TEST(BlockRates, TheLongestNameWinsAndNamesEndAtDots) {
  const UNetConfig config;
  const BlockRates rates("down_blocks.1=1e-6, down_blocks.1.attentions=2e-6, mid=3e-6");
  EXPECT_EQ(rates.of(config, "down_blocks.1.resnets.0.conv1.weight", 9).value, 1e-6);
  EXPECT_EQ(rates.of(config, "down_blocks.1.attentions.0.proj_in.weight", 9).value, 2e-6);
  EXPECT_EQ(rates.of(config, "down_blocks.10.resnets.0.conv1.weight", 9).value, 9);
  EXPECT_EQ(rates.of(config, "mid_block.resnets.0.conv1.weight", 9).value, 9);
  const std::vector<std::string> names = {"down_blocks.1.attentions.0.w", "mid_block.resnets.0.w"};
  EXPECT_EQ(rates.unused(names), std::vector<std::string>{"mid"});
}

TEST(BlockRates, RefusesWhatIsNoRate) {
  for (const char* text : {"", "1e-6,,1e-6", "fast", "-1", "2", "nan", "a=", "=1", "a=1,1e-6"}) {
    EXPECT_THROW(BlockRates{text}, UsageError) << text;
  }
}

}  // namespace
}  // namespace sdtune
