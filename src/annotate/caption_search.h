// Which words a captioner writes: the likeliest one each time, words drawn from the likely ones
// (Holtzman et al., "The curious case of neural text degeneration", 2020), or the best of several
// captions that grow side by side. The rules are those of Transformers' generate() 4.54 with length
// penalty 1 and early_stopping False; draws are this program's own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/blip_text.h"

namespace sdtune {

struct CaptionSearch {
  bool sample = true;     // draw each word; else the best caption of num_beams
  int64_t num_beams = 1;  // 1: the likeliest word each time
  double top_p = 0.9;     // words that make up this much of the probability …
  int64_t top_k = 50;     // … of this many likeliest ones are drawn from; 0: of all
  // Ids, the prompt's among them, that a caption has at most and at least.
  int64_t max_length = 75;
  int64_t min_length = 5;
  double repetition_penalty = 1.0;  // above 1, words that are there already become less likely
  uint64_t seed = 42;               // of the draws
};

using TokenIds = std::vector<int64_t>;

// states [pictures, positions, encoder_hidden_size]; every caption begins with `prompt`, whose
// first id is the model's bos_token_id. `pictures` holds a number for each picture: its draws are a
// function of that, of the seed and of the place in the caption. Returns each caption's ids with
// the prompt and without the id that ends it.
std::vector<TokenIds> search_captions(const BlipTextDecoder& decoder, const at::Tensor& states,
                                      const TokenIds& prompt, const CaptionSearch& search,
                                      std::span<const uint64_t> pictures);

// The place, in a list of log-probabilities or scores sorted from the largest down, that the number
// `u` in [0, 1) falls on among those that nucleus sampling keeps.
size_t draw_from_nucleus(std::span<const float> scores, double top_p, double u);

}  // namespace sdtune
