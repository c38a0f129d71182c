// What the tools of the parity tests are given and give back: the tensors of a safetensors file.
#pragma once

#include <ATen/ATen.h>

#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"

namespace sdtune {

using Tensors = std::map<std::string, at::Tensor>;

// fp32 or int64; Error for any other type.
inline at::Tensor read_one(const WeightFile& file, const TensorInfo& info) {
  const bool integers = info.dtype == DType::kI64;
  if (!integers && info.dtype != DType::kF32) throw Error("neither F32 nor I64", info.name);
  const at::Tensor tensor = at::empty(info.shape, integers ? at::kLong : at::kFloat);
  file.read(info, {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()});
  return tensor;
}

inline Tensors read_all(const std::string& path) {
  const auto file = open_safetensors(path);
  Tensors tensors;
  for (const TensorInfo& info : file->tensors()) tensors[info.name] = read_one(*file, info);
  return tensors;
}

// Bytes and fp64 as they are, anything else as fp32.
inline void write_all(const std::string& path, const Tensors& tensors) {
  std::vector<TensorToWrite> writes;
  for (const auto& [name, tensor] : tensors) {
    TensorToWrite& write = writes.emplace_back();
    write.info.name = name;
    write.info.shape = tensor.sizes().vec();
    at::Tensor values = tensor.detach();
    if (values.scalar_type() == at::kByte) {
      write.info.dtype = DType::kU8;
    } else if (values.scalar_type() == at::kDouble) {
      write.info.dtype = DType::kF64;
    } else {
      values = values.to(at::kFloat);
    }
    write.produce = [values = values.contiguous()](const ByteSink& sink) {
      sink({static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()});
    };
  }
  write_safetensors(path, writes);
}

// main() of a tool: what went wrong is said on stderr under the tool's name.
template <class Run>
int run_tool(const char* name, Run run) {
  try {
    run();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << name << ": " << e.what() << "\n";
    return 1;
  }
}

}  // namespace sdtune
