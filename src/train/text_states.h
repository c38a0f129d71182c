// Captions as the U-Net sees them: tokenized, weighted, encoded. States of captions that stay as
// they are, by a text encoder that is not trained, are kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <vector>

namespace sdtune {

struct Trainee;

class TextStates {
 public:
  // With `keep` each caption is encoded by itself, so that its states do not depend on the batch it
  // is first seen in. At most `limit` bytes are kept.
  explicit TextStates(bool keep = false, int64_t limit = int64_t{1} << 30)
      : keep_(keep), limit_(limit) {}

  // Token ids [B * n, 77] int64 on the CPU, n chunks for each caption.
  static at::Tensor token_ids(const Trainee& trainee, const std::vector<std::string>& captions);

  // States [B, 75n + 2, C] fp32 on the device; recorded where the text encoder is trained and
  // gradients are recorded at all.
  at::Tensor encode(const Trainee& trainee, const std::vector<std::string>& captions);

 private:
  bool keep_;
  int64_t limit_;
  int64_t bytes_ = 0;
  std::unordered_map<std::string, at::Tensor> kept_;  // on the CPU
};

}  // namespace sdtune
