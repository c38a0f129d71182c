// Reads one pickle as data: a graph of values in which tensors are descriptors. Not an unpickler:
// no name leads to code (pickle_names.h), opcodes that torch.save does not write are refused, and
// every quantity that the file chooses is limited. Shared and circular values are references, never
// copies. Format: Python's pickle protocols 2 to 5 (PEP 307, PEP 3154, PEP 574).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/pickle_names.h"
#include "formats/weights.h"

namespace sdtune {

// The largest real checkpoints (full weights, EMA and optimizer) take about a quarter of these.
inline constexpr size_t kMaxPickleBytes = 16 << 20;
inline constexpr size_t kMaxPickleOpcodes = 500'000;
inline constexpr size_t kMaxPickleMarks = 256;  // depth of nesting
inline constexpr size_t kMaxPickleMemo = 500'000;
inline constexpr size_t kMaxPickleText = 1 << 20;  // bytes of one string
inline constexpr size_t kMaxPickleName = 256;      // bytes of a line that names something
inline constexpr size_t kMaxPickleTensors = 100'000;

enum class PickleKind : uint8_t {
  kNone,
  kBool,
  kInt,
  kBigInt,
  kFloat,
  kText,
  kBytes,
  kTuple,
  kList,
  kDict,
  kName,
  kStorage,
  kTensor,
  kOpaque,
};

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  uint32_t index = 0;     // into lists (containers), storages or tensors
  int64_t number = 0;     // kBool, kInt; the bits of a kFloat
  std::string_view text;  // kText, kBytes, kBigInt (little-endian): a view into the pickle
  const PickleName* name = nullptr;  // kName
};

struct PickleStorage {
  std::string key;
  std::optional<DType> dtype;  // nothing: plain bytes
  uint64_t elements = 0;       // as counted in the pickle
  uint64_t bytes = 0;
};

// Known to lie inside its storage, without elements that stand in it twice by stride 0.
struct PickleTensor {
  uint32_t storage = 0;
  DType dtype = DType::kF32;
  uint64_t offset = 0;  // in elements
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements, none negative
};

struct PickleGraph {
  std::deque<PickleValue> values;
  std::deque<std::vector<uint32_t>> lists;  // of values; a dict's keys and values in turn
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  std::set<std::string> opaque_names;
  uint32_t root = 0;
  size_t bytes = 0;  // length of the pickle

  const std::vector<uint32_t>& items(const PickleValue& container) const {
    return lists[container.index];
  }
};

// Reads the pickle at the front of `bytes`, which must outlive the graph. Error naming `where`.
PickleGraph read_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace sdtune
