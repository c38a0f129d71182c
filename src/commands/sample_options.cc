#include "commands/sample_options.h"

#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"
#include "base/numbers.h"

namespace sdtune {

namespace {

[[noreturn]] void refuse(const char* what, const char* where, const char* hint) {
  throw UsageError(what, where, hint);
}

}  // namespace

void validate(const SampleOptions& options) {
  const PromptInputOptions& input = options.input;
  if (input.prompt && input.from_file) {
    refuse("prompts are given twice", "--prompt, --from_file", "give one of the two");
  }
  if (!input.prompt && !input.from_file && !options.start.image_path) {
    refuse("there is no prompt", "--prompt", "give --prompt \"a cat\", or --from_file FILE.txt");
  }
  if (options.start.mask_path && !options.start.image_path) {
    refuse("a mask needs a picture", "--mask_path", "give --image_path too");
  }
  if (options.model.fp16 && options.model.bf16) {
    refuse("two types are asked for", "--fp16, --bf16", "give one of the two");
  }
  const SampleModelOptions& model = options.model;
  if ((model.hypernetwork_module || model.hypernetwork_mul != 1) && !model.hypernetwork_weights) {
    refuse("there is no hypernetwork to apply", "--hypernetwork_module, --hypernetwork_mul",
           "give its file with --hypernetwork_weights");
  }
  for (const auto* range : {&options.noise_offset_range, &options.pyramid_noise_discount_range}) {
    number_range(*range);
  }
}

std::pair<double, double> number_range(const std::vector<std::string>& words) {
  constexpr double kLargest = 1e6;
  std::vector<double> ends;
  for (const std::string& word : words) {
    const std::optional<double> end = number_in<double>(word);
    if (end && std::abs(*end) < kLargest) ends.push_back(*end);
  }
  if (words.size() != 2 || ends.size() != 2) {
    throw UsageError(fmt::format("'{}' is no range", fmt::join(words, " ")),
                     "--noise_offset_range, --pyramid_noise_discount_range",
                     "give two numbers, as 0.2 0.4");
  }
  return {ends[0], ends[1]};
}

}  // namespace sdtune
