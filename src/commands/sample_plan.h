// What `sdtune sample` is to draw, in order: prompts with their choices made, sizes, seeds,
// pictures to start from. No model is needed for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "commands/sample_options.h"
#include "generate/picture_request.h"

namespace sdtune {

struct PlannedPicture {
  PictureRequest request;
  std::string raw_prompt;  // the line before choices were made, where there were any
  std::string file_name;   // without ".png"; "" when the picture has no name of its own
  size_t row = 0;          // which prompt of the round
};

class SamplePlan {
 public:
  // Reads the prompts and finds the pictures to start from. `seed` is of all draws.
  SamplePlan(const SampleOptions& options, uint64_t seed);

  // The pictures of one round of --n_iter; rounds come in order. Reads what they start from.
  std::vector<PlannedPicture> round(int64_t number);

  size_t rows() const { return entries_.size(); }
  const std::string& label(size_t row) const { return entries_[row].line; }

 private:
  struct Entry {
    std::string line, place;
    std::filesystem::path start, mask;  // "" for none
  };

  struct Texts {
    std::vector<std::string> all;
    bool are_enumerated = false;  // then they share the first one's seed
  };

  Texts texts_of(const Entry& entry, int64_t round, size_t row) const;
  PictureRequest defaults_for(const Entry& entry) const;
  uint64_t seed_for(int64_t round) const;
  void add(const Entry& entry, int64_t round, size_t row, std::vector<PlannedPicture>& all);

  const SampleOptions& options_;
  uint64_t seed_;
  std::vector<Entry> entries_;
  int64_t drawn_ = 0;  // pictures planned so far
};

}  // namespace sdtune
