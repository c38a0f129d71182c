#include "models/unet_blocks.h"

#include <ATen/ATen.h>

#include "models/checkpoint.h"

namespace sdtune {
namespace {

at::Tensor run(const ResnetBlock2D& resnet, const at::Tensor& x, const UNetPass& pass) {
  const auto block = [&resnet](const std::vector<at::Tensor>& in) {
    return resnet.forward(in[0], in[1]);
  };
  return run_block(pass.checkpointing, block, {x, pass.time});
}

at::Tensor run(const Transformer2DModel& transformer, const at::Tensor& x, const UNetPass& pass) {
  const auto block = [&transformer](const std::vector<at::Tensor>& in) {
    return transformer.forward(in[0], in[1]);
  };
  return run_block(pass.checkpointing, block, {x, pass.text});
}

std::vector<ResnetBlock2D> make_resnets(const UNetLevel& level) {
  std::vector<ResnetBlock2D> resnets;
  for (const int64_t in_channels : level.resnet_inputs) {
    resnets.emplace_back(ResnetSizes{.in_channels = in_channels,
                                     .out_channels = level.transformer.channels,
                                     .time_channels = level.time_channels,
                                     .norm_num_groups = level.transformer.norm_num_groups,
                                     .norm_eps = level.norm_eps});
  }
  return resnets;
}

std::vector<Transformer2DModel> make_transformers(const UNetLevel& level, size_t count) {
  std::vector<Transformer2DModel> transformers;
  if (!level.attention) return transformers;
  for (size_t i = 0; i < count; ++i) transformers.emplace_back(level.transformer);
  return transformers;
}

}  // namespace

UNetDownBlock::UNetDownBlock(const UNetLevel& level)
    : attentions(make_transformers(level, level.resnet_inputs.size())),
      resnets(make_resnets(level)) {
  if (level.resamples) {
    downsamplers.emplace_back(level.transformer.channels, Downsample2D::Padding::kAllSides);
  }
}

void UNetDownBlock::visit(ParameterVisitor& v) {
  v("attentions", attentions);
  v("resnets", resnets);
  v("downsamplers", downsamplers);
}

at::Tensor UNetDownBlock::forward(at::Tensor x, const UNetPass& pass,
                                  std::vector<at::Tensor>& skips) const {
  for (size_t i = 0; i < resnets.size(); ++i) {
    x = run(resnets[i], x, pass);
    if (!attentions.empty()) x = run(attentions[i], x, pass);
    skips.push_back(x);
  }
  for (const Downsample2D& downsampler : downsamplers) {
    x = downsampler.forward(x);
    skips.push_back(x);
  }
  return x;
}

UNetMidBlock::UNetMidBlock(const UNetLevel& level)
    : attentions(make_transformers(level, level.resnet_inputs.size() - 1)),
      resnets(make_resnets(level)) {}

void UNetMidBlock::visit(ParameterVisitor& v) {
  v("attentions", attentions);
  v("resnets", resnets);
}

at::Tensor UNetMidBlock::forward(at::Tensor x, const UNetPass& pass) const {
  x = run(resnets[0], x, pass);
  for (size_t i = 0; i < attentions.size(); ++i) {
    x = run(attentions[i], x, pass);
    x = run(resnets[i + 1], x, pass);
  }
  return x;
}

UNetUpBlock::UNetUpBlock(const UNetLevel& level)
    : attentions(make_transformers(level, level.resnet_inputs.size())),
      resnets(make_resnets(level)) {
  if (level.resamples) upsamplers.emplace_back(level.transformer.channels);
}

void UNetUpBlock::visit(ParameterVisitor& v) {
  v("attentions", attentions);
  v("resnets", resnets);
  v("upsamplers", upsamplers);
}

at::Tensor UNetUpBlock::forward(at::Tensor x, const UNetPass& pass,
                                std::vector<at::Tensor>& skips) const {
  for (size_t i = 0; i < resnets.size(); ++i) {
    x = run(resnets[i], at::cat({x, skips.back()}, 1), pass);
    skips.pop_back();
    if (!attentions.empty()) x = run(attentions[i], x, pass);
  }
  for (const Upsample2D& upsampler : upsamplers) {
    x = upsampler.forward(x, skips.back().size(2), skips.back().size(3));
  }
  return x;
}

}  // namespace sdtune
