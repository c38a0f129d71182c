// --block_lr: learning rates for parts of the U-Net. Blocks are counted as the original (LDM) code
// has them, which block-weighted merging made known: IN00 to IN11, M00, OUT00 to OUT11.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sdtune {

struct UNetConfig;

// Blocks of a U-Net: 25 for Stable Diffusion 1.x and 2.x.
int64_t count_blocks(const UNetConfig& config);

// The block of a parameter by Diffusers' name. 0 is conv_in and the time embedding (IN00); then
// each resnet with its attention, and each downsampler, is an input block; the middle; each resnet
// with its attention is an output block, an upsampler belongs to the one before it, and the head
// (conv_norm_out, conv_out) to the last.
int64_t block_of(const UNetConfig& config, const std::string& parameter);

class BlockRates {
 public:
  // Numbers, one for each block, or "name=number" pairs, where a name is the beginning of
  // parameters' names up to a dot. UsageError for another count, a word that is neither, or a rate
  // outside [0, 1].
  explicit BlockRates(const std::string& text);

  // UsageError where the numbers are not as many as the U-Net's blocks.
  void check(const UNetConfig& config) const;

  struct Rate {
    std::string part;  // "block_03" or the name: for logs
    double value;
  };
  // The parameter's rate: of its block, or of the longest name that fits; `otherwise` when none
  // does.
  Rate of(const UNetConfig& config, const std::string& parameter, double otherwise) const;

  // Names that no parameter among these has.
  std::vector<std::string> unused(const std::vector<std::string>& parameters) const;

 private:
  std::vector<double> by_block_;
  std::vector<std::pair<std::string, double>> by_name_;
};

}  // namespace sdtune
