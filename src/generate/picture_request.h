// What one picture is made from. Where the words come from is prompt_line.h's and prompt_file.h's
// business.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "image/image.h"

namespace sdtune {

struct PictureRequest {
  std::string prompt;
  std::string negative_prompt;
  int width = 512;  // pixels; both sides are rounded down to multiples of 8
  int height = 512;
  int64_t steps = 50;
  double scale = 7.5;                    // of the guidance; at most 1: without guidance
  std::optional<double> negative_scale;  // weighs the negative prompt by itself
  std::string sampler = "ddim";
  uint64_t seed = 0;

  std::shared_ptr<const Image> start;  // to begin with instead of noise alone; any size
  std::shared_ptr<const Image> mask;   // white where `start` is painted over, black where it stays
  double strength = 0.8;               // with `start`: share of the steps that are done
};

// The seed of a picture that was given none, of all that are drawn from `seed`: below 2^31, which
// every program takes.
uint64_t drawn_seed(uint64_t seed, uint64_t number);

}  // namespace sdtune
