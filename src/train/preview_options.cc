#include "train/preview_options.h"

#include "base/error.h"
#include "base/log.h"
#include "generate/prompt_file.h"

namespace sdtune {

namespace {

constexpr int64_t kSteps = 30;

bool has_time(const PreviewOptions& options) {
  return options.sample_every_n_steps || options.sample_every_n_epochs || options.sample_at_first;
}

}  // namespace

void validate(const PreviewOptions& options) {
  if (has_time(options) && !options.sample_prompts) {
    throw UsageError("there are no prompts to draw pictures from",
                     "--sample_every_n_steps, --sample_every_n_epochs, --sample_at_first",
                     "give a file of prompts with --sample_prompts");
  }
  if (!has_time(options) && options.sample_prompts) {
    log_warning("--sample_prompts has no effect without --sample_every_n_steps or _epochs");
  }
}

std::vector<PromptLine> read_preview_prompts(const PreviewOptions& options) {
  if (!options.sample_prompts || !has_time(options)) return {};
  PictureRequest defaults;
  defaults.steps = kSteps;
  defaults.sampler = options.sample_sampler;
  return read_prompt_file(*options.sample_prompts, defaults);
}

}  // namespace sdtune
