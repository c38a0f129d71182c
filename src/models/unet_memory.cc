#include "models/unet_memory.h"

#include <algorithm>

#include "kernels/conv2d.h"
#include "models/hypernetwork.h"

namespace sdtune {

namespace {

// What both networks of a pair keep of one row of context, in widths of it: what each layer is
// given but the first, whose context is there in any case, what its activation took, and what its
// norm took. Dropout keeps its result in place of what it took.
double widths_kept(const HypernetworkLayout& layout) {
  double widths = 0;
  const size_t layers = layout.layer_structure.size() - 1;
  for (size_t i = 0; i < layers; ++i) {
    const bool is_last = i + 1 == layers;
    const bool activates = layout.activation != "linear" && (!is_last || layout.activate_output);
    widths += layout.layer_structure[i + 1] * (!is_last + activates + layout.layer_norm);
  }
  return 2 * widths;
}

// Of both networks, without biases and norms.
int64_t pair_parameters(const HypernetworkLayout& layout, int64_t width) {
  double squares = 0;
  for (size_t i = 0; i + 1 < layout.layer_structure.size(); ++i) {
    squares += layout.layer_structure[i] * layout.layer_structure[i + 1];
  }
  return static_cast<int64_t>(2 * squares * static_cast<double>(width * width));
}

class Counter {
 public:
  Counter(const UNetConfig& config, const UNetInput& input, const Hypernetwork* hypernetwork)
      : config_(config), input_(input), hypernetwork_(hypernetwork) {}

  std::vector<UnitMemory> count() {
    const auto& channels = config_.block_out_channels;
    const auto levels = static_cast<int>(channels.size());
    convolution(config_.in_channels, channels[0], 0, 1);
    skips_ = {channels[0]};
    for (int level = 0; level < levels; ++level) down(level);
    const int64_t last = channels.back();
    resnet(last, last, levels - 1);
    transformer(last, levels - 1);
    resnet(last, last, levels - 1);
    channels_ = last;
    for (int level = levels - 1; level >= 0; --level) up(level);
    // The norm and the SiLU before the last convolution.
    convolution(channels[0], config_.out_channels, 0, 1);
    units_.back().result += channels[0] * pixels(0);
    return std::move(units_);
  }

 private:
  int64_t side(int64_t of_latents, int level) const {
    for (int i = 0; i < level; ++i) of_latents = (of_latents + 1) / 2;
    return of_latents;
  }

  int64_t pixels(int level) const {
    return input_.batch * side(input_.height, level) * side(input_.width, level);
  }

  // Of a 3x3 convolution with its result on this level.
  int64_t workspace(int64_t in, int64_t out, int level, int64_t stride) const {
    if (!input_.compute_on_cpu) return 0;
    const int from = stride == 1 ? level : level - 1;
    const Conv2dSizes sizes = {.batch = input_.batch,
                               .in = in,
                               .out = out,
                               .height = side(input_.height, from),
                               .width = side(input_.width, from),
                               .stride = stride,
                               .type = *input_.compute_on_cpu};
    Conv2dWays ways = fastest_ways(sizes);
    if (hypernetwork_ != nullptr) ways.weight_gradient = Conv2dWay::kTorch;  // there is none
    return conv2d_workspace(sizes, ways);
  }

  void down(int level) {
    const int64_t out = config_.block_out_channels[level];
    for (int64_t i = 0; i < config_.layers_per_block; ++i) {
      resnet(i == 0 ? skips_.back() : out, out, level);
      if (config_.down_attention[level]) transformer(out, level);
      skips_.push_back(out);
    }
    if (level + 1 == static_cast<int>(config_.block_out_channels.size())) return;
    convolution(out, out, level + 1, 2);
    skips_.push_back(out);
  }

  void up(int level) {
    const int64_t out = config_.block_out_channels[level];
    for (int64_t i = 0; i <= config_.layers_per_block; ++i) {
      const int64_t in = channels_ + skips_.back();
      skips_.pop_back();
      drop_last_result();
      units_.push_back({.result = in * pixels(level)});
      resnet(in, out, level);
      if (config_.down_attention[level]) transformer(out, level);
      channels_ = out;
    }
    if (level == 0) return;
    drop_last_result();
    units_.push_back({.result = out * pixels(level - 1)});
    convolution(out, out, level - 1, 1);
  }

  int64_t trained(int64_t parameters) const { return hypernetwork_ == nullptr ? parameters : 0; }

  // Joining with a skip and enlarging keep nothing of what they take.
  void drop_last_result() { units_.back().result = 0; }

  void convolution(int64_t in, int64_t out, int level, int64_t stride) {
    units_.push_back({.result = out * pixels(level),
                      .backward = std::max(in, out) * pixels(level),
                      .workspace = workspace(in, out, level, stride),
                      .parameters = trained(9 * in * out)});
  }

  // Kept: both norms' results, and the first convolution's result with the time added.
  void resnet(int64_t in, int64_t out, int level) {
    const int64_t time = 4 * config_.block_out_channels[0];
    const int64_t n = pixels(level);
    units_.push_back(
        {.result = out * n,
         .inside = (in + 2 * out) * n,
         .backward = 3 * std::max(in, out) * n,
         .workspace = std::max(workspace(in, out, level, 1), workspace(out, out, level, 1)),
         .parameters = trained(9 * (in + out) * out + time * out + (in == out ? 0 : in * out))});
  }

  // Kept, in widths of the channels: the norm's result and its projection; a norm, query, key,
  // value, result and sum of the attention among pixels; a norm, query, result and sum of that to
  // the text; a norm, the wide projection (8), its gated half (4), and the last sum. Frozen
  // projections do not keep what they took: the norms' results, the gated half and the last sum.
  void transformer(int64_t channels, int level) {
    constexpr int64_t kTrained = 2 + 6 + 4 + 14, kFrozen = 1 + 5 + 3 + 8;
    const int64_t widths = hypernetwork_ == nullptr ? kTrained : kFrozen;
    constexpr int64_t kBackward = 13;  // the gradients of the wide projection and its half, a sum
    const int64_t n = pixels(level);
    const int64_t text = config_.cross_attention_dim;
    const int64_t sums = 2 * config_.num_heads[level] * n;  // of both softmaxes
    const int64_t keys = 2 * input_.batch * input_.text_rows * channels;
    units_.push_back({.result = channels * n,
                      .inside = widths * channels * n + keys + sums,
                      .backward = kBackward * channels * n,
                      .parameters = trained(channels * (2 * channels + 4 * channels + 2 * channels +
                                                        2 * text + 8 * channels + 4 * channels))});
    if (hypernetwork_ == nullptr) return;
    apply_pair(channels, n);
    apply_pair(text, input_.batch * input_.text_rows);
  }

  void apply_pair(int64_t width, int64_t rows) {
    const HypernetworkLayout& layout = hypernetwork_->layout;
    if (!hypernetwork_->pairs.contains(width)) return;
    // And the context that it begins from.
    units_.back().inside +=
        static_cast<int64_t>((1 + widths_kept(layout)) * static_cast<double>(width * rows));
    units_.back().parameters += pair_parameters(layout, width);
  }

  const UNetConfig& config_;
  UNetInput input_;
  const Hypernetwork* hypernetwork_;
  std::vector<UnitMemory> units_;
  std::vector<int64_t> skips_;  // their channels
  int64_t channels_ = 0;        // of what goes up
};

}  // namespace

std::vector<UnitMemory> unet_memory(const UNetConfig& config, const UNetInput& input,
                                    const Hypernetwork* hypernetwork) {
  return Counter(config, input, hypernetwork).count();
}

}  // namespace sdtune
