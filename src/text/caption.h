// A picture's caption as one training step sees it: composed once from caption and tags, then
// drawn anew for each appearance (dropout, wildcards, shuffling, tag dropout), in sd-scripts'
// order. Tokenizing and attention weights are not done here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/philox.h"

namespace sdtune {

// sd-scripts' options, by their names. "Token" in a name means one part of a caption between
// separators, not a token of CLIP's.
struct CaptionOptions {
  bool shuffle_caption = false;
  bool enable_wildcard = false;
  std::string caption_separator = ",";
  int64_t keep_tokens = 0;
  std::string keep_tokens_separator;  // empty: none
  std::string secondary_separator;    // empty: none
  std::string caption_prefix;
  std::string caption_suffix;
  int64_t token_warmup_min = 1;
  double token_warmup_step = 0;  // steps; below 1 a share of all steps
  double caption_dropout_rate = 0;
  int64_t caption_dropout_every_n_epochs = 0;
  double caption_tag_dropout_rate = 0;

  bool operator==(const CaptionOptions&) const = default;
};

// When a caption is drawn, for what follows the run's progress.
struct CaptionMoment {
  int64_t epoch = 0;  // from 0; the option's "every n epochs" counts from 1
  int64_t step = 0;   // optimizer steps done before
  int64_t total_steps = 0;
};

// "caption,tags"; one alone is enough, and no space is added after the separator. With wildcards
// each line of the caption that is not blank is one of several captions and gets the tags; without,
// only the first line of the whole is kept.
std::string compose_caption(std::string_view caption, std::string_view tags,
                            const CaptionOptions& options);

// One appearance of a composed caption. All draws come from `random`, so the result is a function
// of it alone (and of the moment's step where tags warm up). It takes equally many draws from
// `random` whatever is on, and each rule draws from a stream of its own: switching one on leaves
// the others' draws.
std::string draw_caption(const std::string& composed, const CaptionOptions& options,
                         const CaptionMoment& moment, Random& random);

// True when draw_caption() gives the same text for every moment and every random draw.
bool is_constant(const std::string& composed, const CaptionOptions& options);

}  // namespace sdtune
