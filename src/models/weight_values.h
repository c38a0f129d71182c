// The numbers of one weight, wherever they lie (a file, or a parameter on any device), handed on as
// pieces: into a new tensor, or as little-endian bytes for a writer, converted where types differ.
// So no step holds two copies of a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "formats/weights.h"

namespace sdtune {

struct BoundWeight;
struct ModelPart;

at::ScalarType scalar_type_of(DType dtype);
// Error for types that files cannot hold (complex, quantised).
DType dtype_of(at::ScalarType type);

// A run of consecutive elements: of a tensor in `file` (begin at element `first`), or all of
// `tensor`.
struct WeightValues {
  const WeightFile* file = nullptr;
  const TensorInfo* info = nullptr;  // in `file`
  int64_t first = 0;
  int64_t count = 0;
  at::Tensor tensor;  // any device, type and memory layout; used when `file` is null

  DType dtype() const;
};

WeightValues values_in_file(const WeightFile& file, const TensorInfo& info);
WeightValues values_of(const at::Tensor& tensor);
// The weight as `part` has it: a whole tensor of its file, or its rows of one.
WeightValues values_in_source(const ModelPart& part, const BoundWeight& weight);

// A new CPU tensor, 64-byte aligned; the sizes in `shape` multiply to values.count.
at::Tensor read_tensor(const WeightValues& values, const std::vector<int64_t>& shape,
                       at::ScalarType type);

// Hands the elements to `sink` in order, as `dtype`.
void write_values(const WeightValues& values, DType dtype, const ByteSink& sink);

}  // namespace sdtune
