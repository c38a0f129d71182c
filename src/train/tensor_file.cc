#include "train/tensor_file.h"

#include "formats/safetensors.h"
#include "models/weight_values.h"

namespace sdtune {

void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors) {
  std::vector<TensorToWrite> entries;
  for (const auto& [name, tensor] : tensors) {
    const DType dtype = dtype_of(tensor.scalar_type());
    entries.push_back(
        {{name, dtype, tensor.sizes().vec()}, [tensor = tensor, dtype](const ByteSink& sink) {
           write_values(values_of(tensor), dtype, sink);
         }});
  }
  write_safetensors(path, entries);
}

}  // namespace sdtune
