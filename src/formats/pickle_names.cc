#include "formats/pickle_names.h"

namespace sdtune {
namespace {

using enum PickleMeaning;

constexpr PickleName kNames[] = {
    {"collections", "OrderedDict", kOrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", kRebuildTensorV3},
    {"torch._utils", "_rebuild_parameter", kRebuildParameter},
    {"torch", "DoubleStorage", kTypedStorage, DType::kF64},
    {"torch", "FloatStorage", kTypedStorage, DType::kF32},
    {"torch", "HalfStorage", kTypedStorage, DType::kF16},
    {"torch", "BFloat16Storage", kTypedStorage, DType::kBF16},
    {"torch", "LongStorage", kTypedStorage, DType::kI64},
    {"torch", "IntStorage", kTypedStorage, DType::kI32},
    {"torch", "ShortStorage", kTypedStorage, DType::kI16},
    {"torch", "CharStorage", kTypedStorage, DType::kI8},
    {"torch", "ByteStorage", kTypedStorage, DType::kU8},
    {"torch", "BoolStorage", kTypedStorage, DType::kBool},
    {"torch.storage", "UntypedStorage", kUntypedStorage},
    {"torch", "UntypedStorage", kUntypedStorage},
    {"torch", "float64", kDType, DType::kF64},
    {"torch", "float32", kDType, DType::kF32},
    {"torch", "float16", kDType, DType::kF16},
    {"torch", "bfloat16", kDType, DType::kBF16},
    {"torch", "float8_e4m3fn", kDType, DType::kF8E4M3},
    {"torch", "float8_e5m2", kDType, DType::kF8E5M2},
    {"torch", "int64", kDType, DType::kI64},
    {"torch", "int32", kDType, DType::kI32},
    {"torch", "int16", kDType, DType::kI16},
    {"torch", "int8", kDType, DType::kI8},
    {"torch", "uint64", kDType, DType::kU64},
    {"torch", "uint32", kDType, DType::kU32},
    {"torch", "uint16", kDType, DType::kU16},
    {"torch", "uint8", kDType, DType::kU8},
    {"torch", "bool", kDType, DType::kBool},
    {"torch", "Size", kSize},
    {"torch", "device", kOpaque},
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", kOpaque},
    {"pytorch_lightning.callbacks.early_stopping", "EarlyStopping", kOpaque},
    {"numpy.core.multiarray", "scalar", kOpaque},
    {"numpy._core.multiarray", "scalar", kOpaque},
    {"numpy", "dtype", kOpaque},
    {"_codecs", "encode", kOpaque},
};

}  // namespace

const PickleName* find_pickle_name(std::string_view module, std::string_view name) {
  for (const PickleName& known : kNames) {
    if (known.module == module && known.name == name) return &known;
  }
  return nullptr;
}

}  // namespace sdtune
