// The JSON header of a safetensors file, parsed straight into a list of tensors and checked against
// the size of the buffer that follows it. Knows no files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/weights.h"

namespace sdtune {

inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  // bytes, as the reference reader
inline constexpr size_t kMaxSafetensorsTensors = 200'000;       // bounds the memory of a listing

struct SafetensorsEntry {
  TensorInfo info;
  uint64_t begin = 0;  // bytes from the start of the buffer
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data, without gap or overlap
  std::map<std::string, std::string> metadata;
};

// `where` names the file in errors. Throws Error for all that docs/formats.md lists as refused.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t buffer_bytes,
                                           const std::string& where);

}  // namespace sdtune
