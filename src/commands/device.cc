#include "commands/device.h"

#include <ATen/Context.h>

#include "base/error.h"
#include "base/rank.h"
#include "kernels/load_cuda.h"

namespace sdtune {

at::Device choose_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (load_cuda()) {
    const auto count = static_cast<int>(at::getNumGPUs());
    return {at::kCUDA, static_cast<at::DeviceIndex>(rank_from_environment().local_rank % count)};
  }
  if (name == "cuda") {
    throw UsageError("there is no usable NVIDIA GPU", "--device",
                     "leave the option out to compute on the CPU; --console_log_level=DEBUG says "
                     "what was missing");
  }
  return at::kCPU;
}

}  // namespace sdtune
