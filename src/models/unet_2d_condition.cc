#include "models/unet_2d_condition.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace sdtune {
namespace {

constexpr int64_t kTimeExpansion =
    4;  // the time embedding has four times the first level's channels

// What levels of one model have in common, at `level` (0 is the finest).
UNetLevel level_of(const UNetConfig& c, size_t level) {
  UNetLevel result;
  result.time_channels = kTimeExpansion * c.block_out_channels[0];
  result.norm_eps = c.norm_eps;
  result.attention = c.down_attention[level];
  result.transformer = {.channels = c.block_out_channels[level],
                        .heads = c.num_heads[level],
                        .cross_attention_dim = c.cross_attention_dim,
                        .norm_num_groups = c.norm_num_groups,
                        .use_linear_projection = c.use_linear_projection,
                        .upcast_attention = c.upcast_attention};
  return result;
}

UNetLevel down_level(const UNetConfig& c, size_t level) {
  UNetLevel result = level_of(c, level);
  result.resnet_inputs.assign(c.layers_per_block, c.block_out_channels[level]);
  result.resnet_inputs[0] = c.block_out_channels[level == 0 ? 0 : level - 1];
  result.resamples = level + 1 < c.block_out_channels.size();
  return result;
}

UNetLevel mid_level(const UNetConfig& c) {
  UNetLevel result = level_of(c, c.block_out_channels.size() - 1);
  result.resnet_inputs.assign(2, c.block_out_channels.back());
  result.attention = true;
  return result;
}

// A level's way up takes what its way down left: layers_per_block outputs, and before them the one
// that entered the level, which has the channels of the level above.
UNetLevel up_level(const UNetConfig& c, size_t level) {
  const std::vector<int64_t>& channels = c.block_out_channels;
  UNetLevel result = level_of(c, level);
  result.resnet_inputs.assign(c.layers_per_block + 1, 2 * channels[level]);
  result.resnet_inputs.front() +=
      channels[std::min(level + 1, channels.size() - 1)] - channels[level];
  result.resnet_inputs.back() += channels[level == 0 ? 0 : level - 1] - channels[level];
  result.resamples = level > 0;
  return result;
}

}  // namespace

at::Tensor timestep_embedding(const at::Tensor& timesteps, int64_t channels) {
  const int64_t half = channels / 2;
  const at::Tensor exponent =
      at::arange(half, timesteps.options().dtype(at::kFloat)) * -std::log(10000.0) / half;
  const at::Tensor angle = timesteps.to(at::kFloat).unsqueeze(1) * exponent.exp().unsqueeze(0);
  return at::cat({angle.cos(), angle.sin()}, 1);
}

TimestepMlp::TimestepMlp(int64_t in_channels, int64_t channels)
    : linear_1(in_channels, channels), linear_2(channels, channels) {}

void TimestepMlp::visit(ParameterVisitor& v) {
  v("linear_1", linear_1);
  v("linear_2", linear_2);
}

at::Tensor TimestepMlp::forward(const at::Tensor& x) const {
  return linear_2.forward(at::silu(linear_1.forward(x)));
}

UNet2DConditionModel::UNet2DConditionModel(const UNetConfig& c)
    : config(c),
      conv_in({.in_channels = c.in_channels, .out_channels = c.block_out_channels[0]}),
      time_embedding(c.block_out_channels[0], kTimeExpansion * c.block_out_channels[0]),
      mid_block(mid_level(c)),
      conv_norm_out(c.norm_num_groups, c.block_out_channels[0], c.norm_eps),
      conv_out({.in_channels = c.block_out_channels[0], .out_channels = c.out_channels}) {
  for (size_t i = 0; i < c.block_out_channels.size(); ++i) {
    down_blocks.emplace_back(down_level(c, i));
    up_blocks.emplace_back(up_level(c, c.block_out_channels.size() - 1 - i));
  }
}

void UNet2DConditionModel::visit(ParameterVisitor& v) {
  v("conv_in", conv_in);
  v("time_embedding", time_embedding);
  v("down_blocks", down_blocks);
  v("up_blocks", up_blocks);
  v("mid_block", mid_block);
  v("conv_norm_out", conv_norm_out);
  v("conv_out", conv_out);
}

at::Tensor UNet2DConditionModel::forward(const at::Tensor& sample, const at::Tensor& timesteps,
                                         const at::Tensor& encoder_hidden_states) const {
  const at::Tensor sines = timestep_embedding(timesteps, config.block_out_channels[0]);
  const UNetPass pass{.time = at::silu(time_embedding.forward(sines.to(compute_dtype))),
                      .text = encoder_hidden_states.to(compute_dtype),
                      .checkpointing = gradient_checkpointing};

  at::Tensor x =
      conv_in.forward(sample.to(compute_dtype).contiguous(conv_in.weight.suggest_memory_format()));
  std::vector<at::Tensor> skips = {x};
  for (const UNetDownBlock& block : down_blocks) x = block.forward(x, pass, skips);
  x = mid_block.forward(x, pass);
  for (const UNetUpBlock& block : up_blocks) x = block.forward(x, pass, skips);
  return conv_out.forward(conv_norm_out.forward_silu(x)).to(at::kFloat).contiguous();
}

void use_channels_last(UNet2DConditionModel& unet) {
  visit_parameters(unet, [](const std::string&, at::Tensor& parameter) {
    if (parameter.dim() == 4) parameter = parameter.contiguous(at::MemoryFormat::ChannelsLast);
  });
}

bool wants_channels_last(at::ScalarType compute, at::Device device) {
  return device.is_cuda() && compute != at::kFloat;
}

}  // namespace sdtune
