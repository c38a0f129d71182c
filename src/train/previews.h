// Pictures drawn while a run trains, from the prompts of --sample_prompts, and one sheet of them
// all. They take nothing from the run but time: every draw is a function of a picture's own seed,
// and an error in one costs a warning.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/rank.h"
#include "generate/prompt_line.h"
#include "train/run_folder.h"
#include "train/trainee.h"

namespace sdtune {

class Previews {
 public:
  // `options` and `record` must outlive it. A prompt without a seed gets one from the run's, which
  // must be set, and its place, so that it begins with the same noise each time. Of several
  // processes each draws its share of the prompts, which go round.
  Previews(const TrainOptions& options, std::vector<PromptLine> prompts, RunFolder& record,
           const Rank& rank);

  bool is_due(int64_t step, bool ends_epoch, int64_t epochs_done) const;

  // Draws this process's share with the averaged weights, where there are any, and
  // writes them under sample/ with sd-scripts' names. The trainee must still have its VAE.
  // `epochs_done` names the files where pictures are drawn by epochs, or before the first step.
  void draw(Trainee& trainee, int64_t step, int64_t epochs_done);

 private:
  void draw_all(Trainee& trainee, int64_t step, int64_t epochs_done);
  std::filesystem::path path_for(size_t prompt, int64_t step, int64_t epochs_done) const;

  const TrainOptions& options_;
  RunFolder& record_;
  Rank rank_;
  std::vector<PromptLine> prompts_;
};

// sample/contact-sheet.png of the output folder: prompts down, steps across, as far as the record
// tells; at most twelve steps, evenly taken. Nothing where no picture was drawn.
void draw_preview_sheet(const std::filesystem::path& output_dir,
                        const std::filesystem::path& run_folder);

// The first and the last of them alone, side by side, as a PNG file.
void draw_before_and_after(const std::filesystem::path& run_folder,
                           const std::filesystem::path& path);

}  // namespace sdtune
