// A prompt with options for its picture alone, as sd-scripts' users write it in a line, "a cat --w
// 768 --n blurry", or as keys of a JSON or TOML file (prompt_file.h). Choices within braces are
// dynamic_prompt.h's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "generate/picture_request.h"
#include "generate/sampler_choices.h"
#include "options/option.h"

namespace sdtune {

struct PromptLine {
  PictureRequest request;
  std::vector<uint64_t> seeds;  // in order; empty when none is given
  std::string file_name;        // without ".png"; "" when none is given

  // The names are those of sd-scripts' files, the aliases those of its lines.
  template <class V>
  void visit(V& v) {
    v("prompt", request.prompt, "What is to be seen.");
    v("negative_prompt", request.negative_prompt, "What is not to be seen.", Aliases{"n"});
    v("width", request.width, "Width.", Aliases{"w"}, kSides);
    v("height", request.height, "Height.", Aliases{"h"}, kSides);
    v("sample_steps", request.steps, "Steps of the sampler.", Aliases{"s"}, Range{1, 1000});
    v("scale", request.scale, "Scale of the guidance.", Aliases{"l"}, Range{0, 1000});
    v("negative_scale", request.negative_scale, "Scale of the negative prompt.", Aliases{"nl"},
      Range{-1000, 1000});
    v("strength", request.strength, "Share of the steps.", Aliases{"t"}, Range{0, 1});
    v("sample_sampler", request.sampler, "Sampler.", Aliases{"ss"}, sampler_choices());
    v("file_name", file_name, "File name.", Aliases{"f"});
    v("seed", seed_, "Seed.", Aliases{"d"}, Range{0, 9.2e18});
  }

 private:
  static constexpr Range kSides{64, 8192};
  std::optional<int64_t> seed_;  // the last of `seeds`
};

// Options begin with a space and "--", the case of their names does not matter, and a value goes on
// to the next option. "--d 1,2,3" gives seeds, "--nl none" takes a default back. Words before the
// first option are prompt whatever they look like (sd-scripts took "n girl" for an option there).
// Options of sd-scripts for what is not built here, and unknown ones, cost a warning. UsageError
// naming `place` for a value that cannot be.
PromptLine parse_prompt_line(std::string_view line, const PictureRequest& defaults,
                             const std::string& place);

}  // namespace sdtune
