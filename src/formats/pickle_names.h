// The names that a checkpoint's pickle may mention, and what each stands for here. The table is the
// whole list: a name outside it makes the file refused, and no name in it leads to code.
#pragma once

#include <string_view>

#include "formats/weights.h"

namespace sdtune {

enum class PickleMeaning {
  kOrderedDict,
  kRebuildTensorV2,   // (storage, offset, size, stride, requires_grad, hooks)
  kRebuildTensorV3,   // the same and a dtype, for storages of plain bytes
  kRebuildParameter,  // (tensor, requires_grad, hooks)
  kTypedStorage,
  kUntypedStorage,
  kDType,
  kSize,
  kOpaque,  // met in real checkpoints beside the weights; whatever is made of it is skipped
};

struct PickleName {
  std::string_view module;
  std::string_view name;
  PickleMeaning meaning;
  DType dtype = DType::kU8;  // of kTypedStorage and kDType
};

// Null when the name is not allowed. Module and name are compared whole; dots mean nothing.
const PickleName* find_pickle_name(std::string_view module, std::string_view name);

}  // namespace sdtune
