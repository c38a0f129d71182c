// What a torch checkpoint of either form comes down to: named tensors, and where in the file the
// bytes of their storages lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/state_dict.h"
#include "formats/stored_zip.h"

namespace sdtune {

struct CheckpointStorage {
  uint64_t offset = 0;            // in the file, where there is no `entry`
  uint64_t bytes = 0;             // known to lie inside it
  std::optional<ZipEntry> entry;  // the zip form's, whose header is checked when it is read
};

struct CheckpointContent {
  StateDict dict;
  std::vector<CheckpointStorage> storages;  // as PickleTensor::storage counts them
};

// Which values of a pickle are its tensors, and under which names: find_state_dict() or
// find_nested_tensors().
using FindTensors = StateDict (*)(const PickleGraph& graph, const std::string& where);

// Both take the whole file and throw Error naming `where`.
CheckpointContent read_zip_checkpoint(std::span<const std::byte> file, const std::string& where,
                                      FindTensors find);
CheckpointContent read_legacy_checkpoint(std::span<const std::byte> file, const std::string& where,
                                         FindTensors find);

}  // namespace sdtune
