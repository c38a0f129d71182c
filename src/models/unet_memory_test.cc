#include "models/unet_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <numeric>

#include "kernels/gemm_cpu.h"
#include "models/hypernetwork.h"
#include "models/random_init.h"
#include "models/unet_2d_condition.h"

namespace sdtune {
namespace {

UNetConfig config_of(bool v2) {
  UNetConfig config;
  config.block_out_channels = {64, 128, 256, 256};
  config.num_heads = v2 ? std::vector<int64_t>{2, 4, 8, 8} : std::vector<int64_t>{8, 8, 8, 8};
  config.cross_attention_dim = 96;
  config.use_linear_projection = v2;
  return config;
}

// Blocks of this size come from the system one by one, so that glibc knows their sum.
double allocated() {
  const auto memory = ::mallinfo2();
  return static_cast<double>(memory.uordblks + memory.hblkhd);
}

// With gradients for whatever requires them.
double kept_by_forward(const UNet2DConditionModel& unet, const UNetInput& input) {
  const at::Tensor x = at::randn({input.batch, 4, input.height, input.width});
  const at::Tensor text = at::randn({input.batch, input.text_rows, 96});
  const at::Tensor timesteps = at::full({input.batch}, 500, at::kLong);
  unet.forward(x, timesteps, text);  // makes what is made once
  const double before = allocated();
  const at::Tensor out = unet.forward(x, timesteps, text);
  return allocated() - before;
}

double counted(const std::vector<UnitMemory>& units, bool checkpointing) {
  double bytes = 0;
  for (const UnitMemory& unit : units) {
    bytes += 4.0 * static_cast<double>(unit.result + (checkpointing ? 0 : unit.inside));
  }
  return bytes;
}

TEST(UNetMemory, IsWhatTheForwardPassKeeps) {
  for (const bool v2 : {false, true}) {
    const UNetConfig config = config_of(v2);
    UNet2DConditionModel unet(config);
    initialise(unet, 1);
    visit_parameters(unet, [](const std::string&, at::Tensor& p) { p.requires_grad_(true); });
    for (const UNetInput input : {UNetInput{1, 32, 32, 77}, UNetInput{2, 24, 40, 152}}) {
      for (const bool checkpointing : {false, true}) {
        unet.gradient_checkpointing = checkpointing;
        const double kept = kept_by_forward(unet, input);
        EXPECT_NEAR(counted(unet_memory(config, input), checkpointing) / kept, 1, 0.06)
            << (v2 ? "v2 " : "v1 ") << input.batch << (checkpointing ? " checkpointed" : "");
      }
    }
  }
}

TEST(UNetMemory, IsWhatAFrozenUNetKeepsForItsHypernetwork) {
  const UNetConfig config = config_of(false);
  UNet2DConditionModel unet(config);
  initialise(unet, 1);
  HypernetworkLayout deep;
  deep.layer_structure = {1, 1, 2, 1};
  deep.activation = "mish";
  deep.layer_norm = true;
  for (const HypernetworkLayout& layout : {HypernetworkLayout(), deep}) {
    Hypernetwork hypernetwork(context_widths(unet), layout);
    draw_weights(hypernetwork, 1);
    visit_parameters(hypernetwork,
                     [](const std::string&, at::Tensor& p) { p.requires_grad_(true); });
    attach(unet, hypernetwork);
    for (const UNetInput input : {UNetInput{1, 32, 32, 77}, UNetInput{2, 24, 40, 152}}) {
      for (const bool checkpointing : {false, true}) {
        unet.gradient_checkpointing = checkpointing;
        const double kept = kept_by_forward(unet, input);
        EXPECT_NEAR(counted(unet_memory(config, input, &hypernetwork), checkpointing) / kept, 1,
                    0.06)
            << layout.activation << ' ' << input.batch << (checkpointing ? " checkpointed" : "");
      }
    }
  }
}

TEST(UNetMemory, CountsTheHypernetworkWhereItIsApplied) {
  const UNetConfig config = config_of(false);
  const UNet2DConditionModel unet(config);
  Hypernetwork hypernetwork({128, 96}, {});
  std::vector<int64_t> parameters;
  for (const UnitMemory& unit : unet_memory(config, {}, &hypernetwork)) {
    if (unit.parameters > 0) parameters.push_back(unit.parameters);
  }
  const int64_t of_text = 8 * 96 * 96, of_pixels = 8 * 128 * 128;
  ASSERT_EQ(parameters.size(), 16u);  // one of each transformer
  EXPECT_EQ(std::ranges::count(parameters, of_text + of_pixels), 5);
  EXPECT_EQ(std::ranges::count(parameters, of_text), 11);
}

int64_t largest_workspace(const std::vector<UnitMemory>& units) {
  return std::ranges::max(units, {}, &UnitMemory::workspace).workspace;
}

// SD1.5 at 512²: kernels of 2560 → 1280 channels and a chunk of tiles over 16 x 16 pixels.
TEST(UNetMemory, CountsWhatConvolutionsTakeOnTheCpu) {
  const UNetConfig config;
  UNetInput input;
  EXPECT_EQ(largest_workspace(unet_memory(config, input)), 0);
  input.compute_on_cpu = at::kFloat;
  const int64_t kernels = 16 * 2560 * 1280;
  const int64_t most = largest_workspace(unet_memory(config, input));
  if (!gemm_is_fast()) GTEST_SKIP() << "this processor takes torch's convolutions";
  EXPECT_GT(most, kernels);
  EXPECT_LE(most, kernels + (24 << 20) / 4);
  // Pictures of 64²: all levels are small, and columns take less.
  input.height = input.width = 8;
  const int64_t columns = largest_workspace(unet_memory(config, input));
  EXPECT_GT(columns, 0);
  EXPECT_LE(columns, 2 * 9 * 2560 * 8 * 8);
}

TEST(UNetMemory, CountsTheParametersOfEachUnit) {
  const UNetConfig config = config_of(false);
  UNet2DConditionModel unet(config);
  int64_t all = 0, in_units = 0;
  visit_parameters(unet, [&](const std::string&, at::Tensor& p) { all += p.numel(); });
  for (const UnitMemory& unit : unet_memory(config, {})) in_units += unit.parameters;
  // Biases, norms and the time embedding are left out.
  EXPECT_LT(in_units, all);
  EXPECT_GT(static_cast<double>(in_units), 0.95 * static_cast<double>(all));
}

}  // namespace
}  // namespace sdtune
