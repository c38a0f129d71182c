#include "train/block_rates.h"

#include <algorithm>

#include "base/error.h"
#include "base/numbers.h"
#include "models/config.h"

namespace sdtune {

namespace {

constexpr const char* kOption = "--block_lr";

double rate_of(std::string_view text) {
  const std::optional<double> rate = number_in<double>(text);
  if (!rate || *rate < 0 || *rate > 1) {
    throw UsageError(fmt::format("\"{}\" is no learning rate from 0 to 1", text), kOption,
                     "give numbers as 1e-6 with commas between, or name=number pairs");
  }
  return *rate;
}

// "down_blocks.2.resnets.1.…" has 2 and 1 at these places.
int64_t number_after(const std::string& name, const std::string& word) {
  const size_t at = name.find(word);
  return at == std::string::npos ? -1 : std::atoll(name.c_str() + at + word.size());
}

bool is_part(const std::string& name, const std::string& part) {
  return name.starts_with(part) && (name.size() == part.size() || name[part.size()] == '.');
}

}  // namespace

int64_t count_blocks(const UNetConfig& config) {
  const auto levels = static_cast<int64_t>(config.block_out_channels.size());
  return 2 * levels * (config.layers_per_block + 1) + 1;
}

int64_t block_of(const UNetConfig& config, const std::string& parameter) {
  const int64_t in_level = config.layers_per_block + 1;
  const int64_t middle = count_blocks(config) / 2;
  const int64_t layer =
      std::max(number_after(parameter, ".resnets."), number_after(parameter, ".attentions."));
  if (parameter.starts_with("mid_block.")) return middle;
  if (parameter.starts_with("conv_norm_out.") || parameter.starts_with("conv_out.")) {
    return count_blocks(config) - 1;
  }
  // Downsamplers follow a level's layers; upsamplers belong to the last of them.
  if (const int64_t level = number_after(parameter, "down_blocks."); level >= 0) {
    return 1 + level * in_level + (layer >= 0 ? layer : in_level - 1);
  }
  if (const int64_t level = number_after(parameter, "up_blocks."); level >= 0) {
    return middle + 1 + level * in_level + (layer >= 0 ? layer : in_level - 1);
  }
  return 0;
}

BlockRates::BlockRates(const std::string& text) {
  const bool named = text.find('=') != std::string::npos;
  const std::vector<std::string_view> words = list_words(text);
  if (words.empty()) throw UsageError("no learning rate is given", kOption);
  for (const std::string_view word : words) {
    const size_t equals = word.find('=');
    if (!named) {
      by_block_.push_back(rate_of(word));
    } else if (equals == 0 || equals == word.npos) {
      throw UsageError(fmt::format("\"{}\" is not of the form name=number", word), kOption);
    } else {
      by_name_.emplace_back(word.substr(0, equals), rate_of(word.substr(equals + 1)));
    }
  }
}

void BlockRates::check(const UNetConfig& config) const {
  const int64_t blocks = count_blocks(config);
  if (by_block_.empty() || static_cast<int64_t>(by_block_.size()) == blocks) return;
  throw UsageError(
      fmt::format("this U-Net has {} blocks, and {} rates are given", blocks, by_block_.size()),
      kOption, "give one for each block, or use names");
}

BlockRates::Rate BlockRates::of(const UNetConfig& config, const std::string& parameter,
                                double otherwise) const {
  if (!by_block_.empty()) {
    const int64_t block = block_of(config, parameter);
    return {fmt::format("block_{:02}", block), by_block_[static_cast<size_t>(block)]};
  }
  const std::pair<std::string, double>* best = nullptr;
  for (const auto& named : by_name_) {
    const bool longer = best == nullptr || named.first.size() > best->first.size();
    if (longer && is_part(parameter, named.first)) best = &named;
  }
  return best == nullptr ? Rate{"", otherwise} : Rate{best->first, best->second};
}

std::vector<std::string> BlockRates::unused(const std::vector<std::string>& parameters) const {
  std::vector<std::string> result;
  for (const auto& [part, rate] : by_name_) {
    const bool found = std::any_of(parameters.begin(), parameters.end(),
                                   [&](const std::string& name) { return is_part(name, part); });
    if (!found) result.push_back(part);
  }
  return result;
}

}  // namespace sdtune
