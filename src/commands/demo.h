// `sdtune demo`: the whole path in a few minutes and with nothing at hand: draws captioned
// pictures, makes a small random model of the real classes, fine-tunes it, and says where
// everything is.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "options/option.h"

namespace sdtune {

struct DemoOptions {
  std::filesystem::path output_dir = "demo";
  int64_t steps = 150;
  int64_t pictures = 48;
  int64_t shapes = 48;
  bool prepare_only = false;

  template <class V>
  void visit(V& v) {
    v("output_dir", output_dir, "Folder that everything is written to.");
    v("steps", steps, "Optimizer steps.", Range{1, 1e6});
    v("pictures", pictures, "Pictures of what is to be learned: mushrooms.", Range{0, 10000});
    v("shapes", shapes, "Pictures of what the model can draw already, so that it forgets nothing.",
      Range{0, 100000});
    v("prepare_only", prepare_only, "Draw the pictures, write the random model and end.");
  }
};

int run_demo(std::span<const std::string> args);

}  // namespace sdtune
