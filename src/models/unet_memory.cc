#include "models/unet_memory.h"

#include <algorithm>

namespace sdtune {

namespace {

class Counter {
 public:
  Counter(const UNetConfig& config, const UNetInput& input) : config_(config), input_(input) {}

  std::vector<UnitMemory> count() {
    const auto& channels = config_.block_out_channels;
    const auto levels = static_cast<int>(channels.size());
    convolution(config_.in_channels, channels[0], 0);
    skips_ = {channels[0]};
    for (int level = 0; level < levels; ++level) down(level);
    const int64_t last = channels.back();
    resnet(last, last, levels - 1);
    transformer(last, levels - 1);
    resnet(last, last, levels - 1);
    channels_ = last;
    for (int level = levels - 1; level >= 0; --level) up(level);
    // The norm and the SiLU before the last convolution.
    convolution(channels[0], config_.out_channels, 0);
    units_.back().result += 2 * channels[0] * pixels(0);
    return std::move(units_);
  }

 private:
  int64_t pixels(int level) const {
    int64_t height = input_.height, width = input_.width;
    for (int i = 0; i < level; ++i) {
      height = (height + 1) / 2;
      width = (width + 1) / 2;
    }
    return input_.batch * height * width;
  }

  void down(int level) {
    const int64_t out = config_.block_out_channels[level];
    for (int64_t i = 0; i < config_.layers_per_block; ++i) {
      resnet(i == 0 ? skips_.back() : out, out, level);
      if (config_.down_attention[level]) transformer(out, level);
      skips_.push_back(out);
    }
    if (level + 1 == static_cast<int>(config_.block_out_channels.size())) return;
    convolution(out, out, level + 1);
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
    convolution(out, out, level - 1);
  }

  // Joining with a skip and enlarging keep nothing of what they take.
  void drop_last_result() { units_.back().result = 0; }

  void convolution(int64_t in, int64_t out, int level) {
    units_.push_back({.result = out * pixels(level),
                      .backward = std::max(in, out) * pixels(level),
                      .parameters = 9 * in * out});
  }

  // Kept: both norms' results and their SiLU's, and the first convolution's result with the time
  // added.
  void resnet(int64_t in, int64_t out, int level) {
    const int64_t time = 4 * config_.block_out_channels[0];
    const int64_t n = pixels(level);
    units_.push_back(
        {.result = out * n,
         .inside = (2 * in + 3 * out) * n,
         .backward = 3 * std::max(in, out) * n,
         .parameters = 9 * (in + out) * out + time * out + (in == out ? 0 : in * out)});
  }

  // Kept, in widths of the channels: the norm's result and its projection; a norm, query, key,
  // value, result and sum of the attention among pixels; a norm, query, result and sum of that to
  // the text; a norm, the wide projection (8), its gated half (4), and the last sum.
  void transformer(int64_t channels, int level) {
    constexpr int64_t kWidths = 2 + 6 + 4 + 14;
    constexpr int64_t kBackward = 13;  // the gradients of the wide projection and its half, a sum
    const int64_t n = pixels(level);
    const int64_t text = config_.cross_attention_dim;
    const int64_t sums = 2 * config_.num_heads[level] * n;  // of both softmaxes
    const int64_t keys = 2 * input_.batch * input_.text_rows * channels;
    units_.push_back({.result = channels * n,
                      .inside = kWidths * channels * n + keys + sums,
                      .backward = kBackward * channels * n,
                      .parameters = channels * (2 * channels + 4 * channels + 2 * channels +
                                                2 * text + 8 * channels + 4 * channels)});
  }

  const UNetConfig& config_;
  UNetInput input_;
  std::vector<UnitMemory> units_;
  std::vector<int64_t> skips_;  // their channels
  int64_t channels_ = 0;        // of what goes up
};

}  // namespace

std::vector<UnitMemory> unet_memory(const UNetConfig& config, const UNetInput& input) {
  return Counter(config, input).count();
}

}  // namespace sdtune
