#include "train/trace.h"

#include <fmt/format.h>

#include "base/files.h"
#include "train/tensor_file.h"

namespace sdtune {

Trace::Trace(std::optional<std::filesystem::path> folder, int64_t steps)
    : folder_(std::move(folder)), steps_(steps) {
  if (folder_) make_writable_folder(*folder_);
}

void Trace::keep(const char* key, int64_t batch, const at::Tensor& tensor) {
  const std::string name = batch == 0 ? key : fmt::format("{}.{}", key, batch);
  kept_.emplace_back(name, tensor.detach().to(at::kCPU).clone());
}

void Trace::write(int64_t step) {
  write_tensors(*folder_ / fmt::format("step-{:06}.safetensors", step), kept_);
  kept_.clear();
}

}  // namespace sdtune
