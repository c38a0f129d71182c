// Opens a file of weights by what its bytes say, not by its name.
#pragma once

#include "formats/torch_checkpoint.h"

namespace sdtune {

// safetensors, or a torch checkpoint in zip or legacy form, then read by `layout`; Error names what
// was found instead.
std::unique_ptr<WeightFile> open_weights(const std::filesystem::path& path,
                                         CheckpointLayout layout = CheckpointLayout::kStateDict);

}  // namespace sdtune
