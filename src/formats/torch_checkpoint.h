// PyTorch's .ckpt/.pt/.bin files, zip form (torch 1.6 and later) and legacy form, read as data: no
// name in the pickle is ever resolved to code. Written in zip form, as
// torch.load(weights_only=True) reads it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "formats/weights.h"

namespace sdtune {

enum class CheckpointLayout {
  // Tensors of a plain state dict, or of its "state_dict" entry. Other entries that are text or
  // numbers become metadata; opaque values are skipped and reported.
  kStateDict,
  // Dictionaries and lists within each other (nested_tensors.h). A tensor's name is the keys and
  // places on the way to it, joined by dots: "320.0.linear.0.bias".
  kNested,
};

std::unique_ptr<WeightFile> open_torch_checkpoint(
    const std::filesystem::path& path, CheckpointLayout layout = CheckpointLayout::kStateDict);

struct CheckpointExtras {
  bool wrap_state_dict =
      true;  // {"state_dict": {…}, "epoch": …, "global_step": …}; else the plain dict
  int64_t epoch = 0;
  int64_t global_step = 0;
};

void write_torch_checkpoint(const std::filesystem::path& path,
                            const std::vector<TensorToWrite>& tensors,
                            const CheckpointExtras& extras = {});

struct NestedEntry;

// A value of a nested checkpoint: None, a scalar, a tensor, a list, or a dictionary.
struct NestedValue {
  struct Tensor {
    size_t number = 0;  // in the list of tensors to write
  };
  using List = std::vector<NestedValue>;
  using Dict = std::vector<NestedEntry>;
  std::variant<std::monostate, bool, int64_t, double, std::string, Tensor, List, Dict> value;
};

// Of a dictionary.
struct NestedEntry {
  NestedValue key, value;
};

// `root` names each tensor by its number, once.
void write_nested_checkpoint(const std::filesystem::path& path,
                             const std::vector<TensorToWrite>& tensors, const NestedValue& root);

}  // namespace sdtune
