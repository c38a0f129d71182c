#include "models/weight_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "models/model_source.h"

namespace sdtune {
namespace {

constexpr int64_t kPieceElements = 1 << 19;

struct TypePair {
  DType dtype;
  at::ScalarType type;
};

constexpr TypePair kTypes[] = {
    {DType::kF64, at::kDouble},
    {DType::kF32, at::kFloat},
    {DType::kF16, at::kHalf},
    {DType::kBF16, at::kBFloat16},
    {DType::kF8E4M3, at::kFloat8_e4m3fn},
    {DType::kF8E5M2, at::kFloat8_e5m2},
    {DType::kI64, at::kLong},
    {DType::kI32, at::kInt},
    {DType::kI16, at::kShort},
    {DType::kI8, at::kChar},
    {DType::kU64, at::kUInt64},
    {DType::kU32, at::kUInt32},
    {DType::kU16, at::kUInt16},
    {DType::kU8, at::kByte},
    {DType::kBool, at::kBool},
};

std::span<std::byte> bytes_of(const at::Tensor& contiguous) {
  return {static_cast<std::byte*>(contiguous.mutable_data_ptr()), contiguous.nbytes()};
}

// Calls `take` with the elements in order, as flat CPU tensors of the file's type.
void pieces_of_file(const WeightValues& values,
                    const std::function<void(const at::Tensor&)>& take) {
  const DType dtype = values.info->dtype;
  const at::Tensor buffer =
      at::empty({std::min(values.count, kPieceElements)}, at::TensorOptions(scalar_type_of(dtype)));
  for (int64_t done = 0; done < values.count; done += kPieceElements) {
    const at::Tensor piece = buffer.narrow(0, 0, std::min(kPieceElements, values.count - done));
    const auto begin = static_cast<uint64_t>(values.first + done) * dtype_size(dtype);
    values.file->read_part(*values.info, begin, bytes_of(piece));
    take(piece);
  }
}

// As pieces_of_file; rows are cut along the first dimension, for a parameter may be laid out
// channels-last.
void pieces_of_tensor(const at::Tensor& tensor,
                      const std::function<void(const at::Tensor&)>& take) {
  const at::Tensor rows = tensor.dim() == 0 ? tensor.detach().reshape({1}) : tensor.detach();
  const int64_t total = rows.size(0);
  const int64_t row_elements = std::max<int64_t>(1, rows.numel() / std::max<int64_t>(1, total));
  const int64_t step = std::max<int64_t>(1, kPieceElements / row_elements);
  for (int64_t done = 0; done < total; done += step) {
    const at::Tensor part = rows.narrow(0, done, std::min(step, total - done));
    take(part.to(at::kCPU).contiguous().view({-1}));
  }
}

void pieces(const WeightValues& values, const std::function<void(const at::Tensor&)>& take) {
  if (values.count == 0) return;
  if (values.file) {
    pieces_of_file(values, take);
  } else {
    pieces_of_tensor(values.tensor, take);
  }
}

}  // namespace

at::ScalarType scalar_type_of(DType dtype) {
  return std::ranges::find(kTypes, dtype, &TypePair::dtype)->type;
}

DType dtype_of(at::ScalarType type) {
  const auto* found = std::ranges::find(kTypes, type, &TypePair::type);
  if (found == std::end(kTypes)) {
    throw Error(fmt::format("weights of type {} cannot be saved", c10::toString(type)));
  }
  return found->dtype;
}

DType WeightValues::dtype() const { return file ? info->dtype : dtype_of(tensor.scalar_type()); }

WeightValues values_in_file(const WeightFile& file, const TensorInfo& info) {
  return {.file = &file, .info = &info, .count = info.numel()};
}

WeightValues values_of(const at::Tensor& tensor) {
  return {.count = tensor.numel(), .tensor = tensor};
}

WeightValues values_in_source(const ModelPart& part, const BoundWeight& weight) {
  WeightValues values = values_in_file(*part.file, *weight.found);
  if (!weight.whole) {
    values.count /= weight.want.parts;
    values.first = weight.want.part * values.count;
  }
  return values;
}

at::Tensor read_tensor(const WeightValues& values, const std::vector<int64_t>& shape,
                       at::ScalarType type) {
  at::Tensor result = at::empty(shape, at::TensorOptions(type));
  if (values.file && values.dtype() == dtype_of(type)) {
    const auto begin = static_cast<uint64_t>(values.first) * dtype_size(values.dtype());
    values.file->read_part(*values.info, begin, bytes_of(result));
    return result;
  }
  const at::Tensor flat = result.view({-1});
  int64_t done = 0;
  pieces(values, [&](const at::Tensor& piece) {
    flat.narrow(0, done, piece.numel()).copy_(piece);
    done += piece.numel();
  });
  return result;
}

void write_values(const WeightValues& values, DType dtype, const ByteSink& sink) {
  const at::ScalarType type = scalar_type_of(dtype);
  pieces(values, [&](const at::Tensor& piece) { sink(bytes_of(piece.to(type))); });
}

}  // namespace sdtune
