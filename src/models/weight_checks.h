// The errors of model files whose tensors are not those that a model wants.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/weights.h"

namespace sdtune {

// Where the file's tensor and `expected` differ; whether they do is the caller's to say.
[[noreturn]] void refuse_shape(const WeightFile& file, const TensorInfo& found,
                               std::span<const int64_t> expected, const std::string& hint);

// Error unless the tensor holds floating-point numbers.
void check_floating(const WeightFile& file, const TensorInfo& found, const std::string& hint);

// Error unless `missing`, names of tensors, is empty. It counts them and shows the first five.
void check_none_missing(const WeightFile& file, std::vector<std::string> missing,
                        const std::string& hint);

}  // namespace sdtune
