// The loss of a run as a picture, from its events alone.
#pragma once

#include <filesystem>

namespace sdtune {

// Draws the losses in `run_folder`/events.jsonl to `run_folder`/loss.png. Where steps were done
// again after a resume, the later ones count. Draws nothing when there are fewer than two.
void draw_loss_curve(const std::filesystem::path& run_folder);

}  // namespace sdtune
