// BLIP with its words: prepared pictures to captions. Where the model lies on disk, and under which
// names, is models/blip_files.h's; how captions are searched for is caption_search.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "annotate/caption_run.h"
#include "annotate/caption_search.h"
#include "models/blip.h"
#include "text/word_piece.h"

namespace sdtune {

struct BlipCaptionerOptions {
  std::filesystem::path weights;     // a Transformers folder, or an original checkpoint
  std::filesystem::path vocabulary;  // text/word_piece_files.h; empty: what lies with the weights
  std::string prompt = "a picture of ";  // how each caption begins; it is left out of what is kept
  CaptionSearch search;
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;  // of weights and arithmetic
};

class BlipCaptioner {
 public:
  // Reads model and vocabulary. Errors of their readers; Error when there is no vocabulary or it is
  // another model's, UsageError when prompt and lengths do not go together.
  explicit BlipCaptioner(const BlipCaptionerOptions& options);

  int image_size() const { return static_cast<int>(model_.config.vision.image_size); }
  // Pictures of image_size() x image_size() to one caption each.
  std::vector<std::string> write(std::span<const ReadyPicture> pictures) const;

 private:
  BlipCaptionerOptions options_;
  Blip model_;
  WordPieceTokenizer tokenizer_;
  TokenIds prompt_;
};

}  // namespace sdtune
