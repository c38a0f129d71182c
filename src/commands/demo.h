// `sdtune demo`: the whole path in a few minutes and with nothing at hand. Draws captioned pictures
// of what the demo's model cannot draw, runs the program's other commands on them as a user would,
// and shows the pictures of before and after.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "options/option.h"

namespace sdtune {

struct DemoOptions {
  std::optional<std::filesystem::path> pretrained_model_name_or_path;
  std::filesystem::path output_dir = "demo";
  int64_t steps = 400;
  int64_t pictures = 96;
  int64_t shapes = 144;
  bool prepare_only = false;

  template <class V>
  void visit(V& v) {
    v("pretrained_model_name_or_path", pretrained_model_name_or_path,
      "The model to begin with; when not given the demo's own, which lies beside the program.");
    v("output_dir", output_dir, "Folder that everything is written to.");
    v("steps", steps, "Optimizer steps.", Range{1, 1e6});
    v("pictures", pictures, "Pictures of what is to be learned: mushrooms.", Range{0, 10000});
    v("shapes", shapes, "Pictures of what the model can draw already, so that it forgets nothing.",
      Range{0, 100000});
    v("prepare_only", prepare_only,
      "For assets/recipe, which makes the demo's model: draw the pictures, gather their words, "
      "write a random model of its sizes and end.");
  }
};

int run_demo(std::span<const std::string> args);

}  // namespace sdtune
