// What the tools of the parity tests are given: the tensors of a safetensors file, all fp32.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "base/error.h"
#include "formats/safetensors.h"

namespace sdtune {

using Tensors = std::map<std::string, at::Tensor>;

inline Tensors read_all(const std::string& path) {
  const auto file = open_safetensors(path);
  Tensors tensors;
  for (const TensorInfo& info : file->tensors()) {
    if (info.dtype != DType::kF32) throw Error("not F32", info.name);
    const at::Tensor tensor = at::empty(info.shape, at::kFloat);
    file->read(info, {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()});
    tensors[info.name] = tensor;
  }
  return tensors;
}

}  // namespace sdtune
