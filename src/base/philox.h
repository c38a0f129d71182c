// Every random draw of the program: a pure function of a seed, a purpose and up to three indices,
// by Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Nothing
// is stored, so a resumed run and a run on other devices draw the same.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sdtune {

// One block: four 32-bit words from a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// What a draw is for. Numbers are part of the promise that a run can be repeated: append only.
enum class Draw : uint32_t {
  kEpochOrder = 1,          // (epoch): order of batches and of images in their buckets
  kCaption = 2,             // (epoch, image, repeat)
  kAugment = 3,             // (epoch, image, repeat): flips, crops
  kPosterior = 4,           // (epoch, image, repeat): the VAE's sample
  kNoise = 5,               // (optimizer step, sample in the global batch)
  kTimestep = 6,            // (optimizer step, sample in the global batch)
  kWeights = 7,             // (index of the tensor): random models
  kRounding = 8,            // (optimizer step, tensor): stochastic rounding
  kDemo = 9,                // (index of the picture)
  kCachedPosterior = 10,    // seeded by the picture's hash; (width, height, mirrored)
  kNoiseOffset = 11,        // (optimizer step, sample in the global batch): strength, then values
  kCoarseNoise = 12,        // (optimizer step, sample in the global batch): sizes and values
  kInputPerturbation = 13,  // (optimizer step, sample in the global batch): strength, then values
  kValidationSplit = 14,    // (picture)
  kDropout = 15,            // (optimizer step, place in the U-Net, layer): a hypernetwork's
  kPrompt = 16,             // (round, prompt, repeat): choices in prompts; (round): their order
  kPictureSeed = 17,        // (number of the picture): seeds that were not given
  kPictureNoise = 18,       // seeded by the picture's; what is added to its first noise
  kCaptionWord = 19,        // (the picture's bytes, place in the caption): words written for it
};

class Random {
 public:
  // Streams of different (seed, draw, a, b, c) are independent.
  Random(uint64_t seed, Draw draw, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0);

  uint32_t next();
  double uniform();            // [0, 1), 53 bits
  uint64_t below(uint64_t n);  // [0, n), without bias; n > 0
  double normal();             // N(0, 1), Box-Muller in double
  void fill_normal(std::span<float> out);

  template <class T>
  void shuffle(std::vector<T>& items) {  // Fisher-Yates
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_;
  int used_ = 4;
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

}  // namespace sdtune
