// A hypernetwork as what a run trains: made from the options, attached to a U-Net that stays as it
// is, and written under the run's names.
#pragma once

#include <memory>
#include <vector>

#include "models/hypernetwork.h"
#include "optim/optimizer.h"
#include "train/output_names.h"
#include "train/train_options.h"

namespace sdtune {

// UsageError for options that do not go with training a hypernetwork, or make none.
void validate_hypernetwork(const TrainOptions& options);

// The one of --hypernetwork_weights, or a new one for every width of the U-Net, drawn from the
// run's seed; on `place`, requiring gradients. Errors as load_hypernetwork().
std::unique_ptr<Hypernetwork> make_hypernetwork(const TrainOptions& options,
                                                const UNet2DConditionModel& unet,
                                                const at::TensorOptions& place);

// One group, of all its parameters, as "hypernetwork.<name>".
std::vector<ParameterGroup> hypernetwork_groups(const OptimizerOptions& options,
                                                Hypernetwork& hypernetwork);

// With .pt, or .safetensors where the options ask for that.
std::filesystem::path hypernetwork_path(const TrainOptions& options, SaveMoment moment);

}  // namespace sdtune
