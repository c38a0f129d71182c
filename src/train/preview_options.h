// Options about the pictures that a run draws while it trains.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "generate/prompt_line.h"
#include "generate/sampler_choices.h"
#include "options/option.h"

namespace sdtune {

struct PreviewOptions {
  std::optional<std::filesystem::path> sample_prompts;
  std::optional<int64_t> sample_every_n_steps, sample_every_n_epochs;
  bool sample_at_first = false;
  std::string sample_sampler = "ddim";

  template <class V>
  void visit(V& v) {
    v.group("Pictures while training");
    v("sample_prompts", sample_prompts,
      "File of prompts to draw pictures from while training: .txt with one a line, .json or .toml; "
      "docs/prompts.md has their options. With --ema the averaged weights draw.");
    v("sample_every_n_steps", sample_every_n_steps, "Draw them after each so many optimizer steps.",
      Range{1, 1e12});
    v("sample_every_n_epochs", sample_every_n_epochs,
      "Draw them after each so many epochs, and not by steps.", Range{1, 1e9});
    v("sample_at_first", sample_at_first, "Draw them before the first step too.");
    v("sample_sampler", sample_sampler, "The sampler of prompts that name none.",
      sampler_choices());
  }
};

// The prompts to draw, none where there is no time to draw them. What is passed over in them is
// logged. Errors as read_prompt_file().
std::vector<PromptLine> read_preview_prompts(const PreviewOptions& options);

// UsageError for a time to draw without prompts; a logged warning for prompts without a time. The
// prompts are not read.
void validate(const PreviewOptions& options);

}  // namespace sdtune
