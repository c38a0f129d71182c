// Files of prompts: .txt with one prompt a line, .json and .toml with keys, as sd-scripts'
// --sample_prompts and --from_file take them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "generate/prompt_line.h"

namespace sdtune {

struct NumberedLine {
  std::string text;
  std::string place;  // "prompts.txt:3"
};

// The lines but for empty ones and those that begin with "#", without white space at their ends.
// Error when the file cannot be read or is no UTF-8.
std::vector<NumberedLine> read_prompt_lines(const std::filesystem::path& path);

// By the name's ending:
//   .json  a list of texts, each read as a line, or of objects with PromptLine's names as keys
//   .toml  [prompt] with keys for all, and [[prompt.subset]] with keys for each
//   else   lines
// Error when it cannot be read; UsageError naming the file and the line, where there is one, for
// keys that are not known and values that cannot be, and when there is no prompt.
std::vector<PromptLine> read_prompt_file(const std::filesystem::path& path,
                                         const PictureRequest& defaults);

}  // namespace sdtune
