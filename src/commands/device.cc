#include "commands/device.h"

#include "base/error.h"
#include "kernels/load_cuda.h"

namespace sdtune {

at::Device choose_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (load_cuda()) return at::kCUDA;
  if (name == "cuda") {
    throw UsageError("there is no usable NVIDIA GPU", "--device",
                     "leave the option out to compute on the CPU; --console_log_level=DEBUG says "
                     "what was missing");
  }
  return at::kCPU;
}

}  // namespace sdtune
