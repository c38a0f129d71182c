// What a run needs to go on exactly where it was: a folder of safetensors and JSON with a manifest
// of sizes and hashes, written beside its final name and renamed when it is whole. Random draws
// need no state (base/philox.h).
//
//   train_state.json        position, seed, scaler, what the run was made with
//   unet.safetensors        trained weights; text_encoder.safetensors when it is trained;
//                           hypernetwork.safetensors in place of both
//   ema.safetensors         averages of the weights, when they are kept
//   optimizer.safetensors   the optimizer's state tensors by name
//   manifest.json           size and XXH3-128 of each of the above, written last
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "models/parameters.h"
#include "optim/lr_plateau.h"
#include "optim/optimizer.h"

namespace sdtune {

// Where a run stands between two optimizer steps.
struct Position {
  int64_t step = 0;   // optimizer steps done
  int64_t epoch = 0;  // the epoch under way, counted from 0
  int64_t batch = 0;  // batches of it that are done
  bool operator==(const Position&) const = default;
};

struct ScalerState {
  double scale = 0;
  int64_t good_steps = 0;
};

struct RunState {
  Position position;
  uint64_t seed = 0;
  std::optional<ScalerState> scaler;
  std::optional<PlateauState> plateau;  // of reduce_lr_on_plateau
  // What must be the same for the same bytes: name and value, as "threads": "2". Compared by
  // describe_changes().
  std::vector<std::pair<std::string, std::string>> made_with;
};

struct TrainedTensors {
  // Each empty when there is nothing of it to keep.
  NamedTensors unet, text_encoder, hypernetwork;
  NamedTensors ema;
  Optimizer* optimizer = nullptr;
};

// Error when the disk is too small or fails; `folder` is then as it was before.
void save_state(const std::filesystem::path& folder, const RunState& state,
                const TrainedTensors& tensors);

// Reads train_state.json after checking every file against the manifest. Error says which file is
// not as it was written.
RunState read_state(const std::filesystem::path& folder);

// Fills the tensors from a folder that read_state() accepted. Error when names or shapes differ.
void load_state_tensors(const std::filesystem::path& folder, const TrainedTensors& tensors);

// The newest of these states that read_state() accepts; logs which newer ones were passed over and
// why. Folders that are not there are nothing to speak of.
std::optional<std::filesystem::path> newest_state(std::span<const std::filesystem::path> folders);

// "threads: 4 then, 2 now" for each entry of made_with that differs.
std::vector<std::string> describe_changes(const RunState& then, const RunState& now);

}  // namespace sdtune
