#include "text/caption.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "text/split.h"
#include "text/white_space.h"
#include "text/wildcards.h"

namespace sdtune {
namespace {

// Each rule draws from a stream of its own: switching one on or off leaves the others' draws.
struct Streams {
  explicit Streams(uint64_t seed)
      : dropout(seed, Draw::kCaption, 1),
        wildcards(seed, Draw::kCaption, 2),
        shuffle(seed, Draw::kCaption, 3),
        tag_dropout(seed, Draw::kCaption, 4) {}

  Random dropout;
  Random wildcards;
  Random shuffle;
  Random tag_dropout;
};

// "Tokens" in the options' names.
struct Tags {
  std::vector<std::string_view> fixed;
  std::vector<std::string_view> flexible;
  std::vector<std::string_view> suffix;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines = split(text, "\n");
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  return lines;
}

bool changes_tags(const CaptionOptions& options) {
  return options.shuffle_caption || options.token_warmup_step > 0 ||
         options.caption_tag_dropout_rate > 0;
}

std::string with_prefix_and_suffix(std::string text, const CaptionOptions& options) {
  if (!options.caption_prefix.empty()) text = options.caption_prefix + " " + text;
  if (!options.caption_suffix.empty()) text += " " + options.caption_suffix;
  return text;
}

bool is_dropped(const CaptionOptions& options, const CaptionMoment& moment, Random& random) {
  const int64_t every = options.caption_dropout_every_n_epochs;
  if (every > 0 && (moment.epoch + 1) % every == 0) return true;
  return options.caption_dropout_rate > 0 && random.uniform() < options.caption_dropout_rate;
}

std::string one_line(std::string_view text, const CaptionOptions& options, Random& random) {
  const std::vector<std::string_view> lines = lines_of(text);
  if (!options.enable_wildcard) return std::string(lines[0]);
  return expand_wildcards(lines[random.below(lines.size())], random);
}

std::vector<std::string_view> stripped_tags(std::string_view text, const CaptionOptions& options) {
  std::vector<std::string_view> tags = split(text, options.caption_separator);
  for (std::string_view& tag : tags) tag = strip(tag);
  return tags;
}

// Empty tags count only without a keep separator, where they take places among keep_tokens.
Tags split_tags(std::string_view text, const CaptionOptions& options) {
  const std::string_view keep = options.keep_tokens_separator;
  Tags tags;
  if (!keep.empty() && text.find(keep) != std::string_view::npos) {
    const auto filled_tags = [&](std::string_view part) {
      std::vector<std::string_view> filled = stripped_tags(part, options);
      std::erase_if(filled, [](std::string_view tag) { return tag.empty(); });
      return filled;
    };
    const size_t first = text.find(keep);
    const std::string_view rest = text.substr(first + keep.size());
    const size_t second = rest.find(keep);
    tags.fixed = filled_tags(text.substr(0, first));
    tags.flexible = filled_tags(rest.substr(0, second));
    if (second != std::string_view::npos) {
      tags.suffix = filled_tags(rest.substr(second + keep.size()));
    }
    return tags;
  }
  tags.flexible = stripped_tags(strip(text), options);
  const auto kept = std::clamp<int64_t>(options.keep_tokens, 0, std::ssize(tags.flexible));
  const auto end = tags.flexible.begin() + kept;
  tags.fixed.assign(tags.flexible.begin(), end);
  tags.flexible.erase(tags.flexible.begin(), end);
  return tags;
}

// How many of `count` flexible tags are in use at this moment of the warm-up.
size_t warmed_up(size_t count, const CaptionOptions& options, const CaptionMoment& moment) {
  double steps = options.token_warmup_step;
  if (steps < 1) steps = std::floor(steps * static_cast<double>(moment.total_steps));
  const auto step = static_cast<double>(moment.step);
  if (steps <= 0 || step >= steps) return count;
  const auto all = static_cast<double>(count);
  const auto least = static_cast<double>(options.token_warmup_min);
  const double kept = std::floor(step * (all - least) / steps) + least;
  return static_cast<size_t>(std::clamp(kept, 0.0, all));
}

// sd-scripts joined with ", " whatever the separator was, and since its repair joins with the
// separator itself. The space is put back where the separator brings none, so that the default ","
// gives the "a, b" that captions have always been trained with.
std::string joined(Tags tags, const CaptionOptions& options) {
  std::vector<std::string_view> all = std::move(tags.fixed);
  all.insert(all.end(), tags.flexible.begin(), tags.flexible.end());
  all.insert(all.end(), tags.suffix.begin(), tags.suffix.end());
  const std::string& separator = options.caption_separator;
  return join(all, has_white_space(separator) ? separator : separator + " ");
}

std::string with_changed_tags(std::string_view text, const CaptionOptions& options,
                              const CaptionMoment& moment, Streams& streams) {
  Tags tags = split_tags(text, options);
  tags.flexible.resize(warmed_up(tags.flexible.size(), options, moment));
  if (options.shuffle_caption) streams.shuffle.shuffle(tags.flexible);
  if (options.caption_tag_dropout_rate > 0) {
    std::erase_if(tags.flexible, [&](std::string_view) {
      return streams.tag_dropout.uniform() < options.caption_tag_dropout_rate;
    });
  }
  return joined(std::move(tags), options);
}

std::string with_secondary_separators_replaced(const std::string& text,
                                               const CaptionOptions& options) {
  return join(split(text, options.secondary_separator), options.caption_separator);
}

// The rules after the decision to drop.
std::string kept_caption(const std::string& composed, const CaptionOptions& options,
                         const CaptionMoment& moment, Streams& streams) {
  std::string text =
      one_line(with_prefix_and_suffix(composed, options), options, streams.wildcards);
  if (changes_tags(options)) text = with_changed_tags(text, options, moment, streams);
  return with_secondary_separators_replaced(text, options);
}

bool are_equal(const std::vector<std::string_view>& texts) {
  return std::all_of(texts.begin(), texts.end(), [&](auto text) { return text == texts[0]; });
}

bool has_constant_tags(std::string_view text, const CaptionOptions& options) {
  if (!changes_tags(options)) return true;
  const Tags tags = split_tags(text, options);
  if (tags.flexible.empty() || options.caption_tag_dropout_rate >= 1) return true;
  if (options.caption_tag_dropout_rate > 0) return false;
  if (options.token_warmup_step > 0 && std::ssize(tags.flexible) > options.token_warmup_min) {
    return false;
  }
  return !options.shuffle_caption || are_equal(tags.flexible);
}

// The rules after the decision to drop always give the same.
bool is_constant_when_kept(const std::string& composed, const CaptionOptions& options) {
  const std::string text = with_prefix_and_suffix(composed, options);
  const std::vector<std::string_view> lines = lines_of(text);
  if (!options.enable_wildcard) return has_constant_tags(lines[0], options);
  if (!are_equal(lines) || !has_one_expansion(lines[0])) return false;
  Random any(0, Draw::kCaption);
  return has_constant_tags(expand_wildcards(lines[0], any), options);
}

}  // namespace

std::string compose_caption(std::string_view caption, std::string_view tags,
                            const CaptionOptions& options) {
  const std::string& separator = options.caption_separator;
  const auto with_tags = [&](std::string_view text, std::string_view added) {
    std::string composed(text);
    if (!text.empty() && !added.empty()) composed += separator;
    return composed += added;
  };
  if (!options.enable_wildcard) return std::string(lines_of(with_tags(caption, tags))[0]);

  const std::string tag_line = join(lines_of(tags), separator);
  std::string composed;
  for (const std::string_view line : lines_of(caption)) {
    // A blank line is no caption to choose, with or without tags to follow it.
    if (strip(line).empty()) continue;
    if (!composed.empty()) composed += '\n';
    composed += with_tags(line, tag_line);
  }
  return composed.empty() ? tag_line : composed;
}

std::string draw_caption(const std::string& composed, const CaptionOptions& options,
                         const CaptionMoment& moment, Random& random) {
  const uint64_t high = random.next();
  Streams streams(high << 32 | random.next());
  if (is_dropped(options, moment, streams.dropout)) return "";
  return kept_caption(composed, options, moment, streams);
}

bool is_constant(const std::string& composed, const CaptionOptions& options) {
  if (options.caption_dropout_rate >= 1 || options.caption_dropout_every_n_epochs == 1) return true;
  if (!is_constant_when_kept(composed, options)) return false;
  if (options.caption_dropout_rate <= 0 && options.caption_dropout_every_n_epochs <= 0) return true;
  Streams streams(0);
  return kept_caption(composed, options, {}, streams).empty();
}

}  // namespace sdtune
