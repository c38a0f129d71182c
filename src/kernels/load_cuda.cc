#include "kernels/load_cuda.h"

#include <string>

#include "base/log.h"
#include "base/shared_library.h"
#include "base/system.h"

namespace sdtune {

namespace {

constexpr const char* kKernels = "libsdtune_cuda.so";

// Asks the driver itself: torch must not be asked before its CUDA library is there.
int count_devices() {
  const SharedLibrary driver = open_library("libcuda.so.1");
  if (driver.handle == nullptr) {
    log_debug("CUDA is not used: no driver ({})", driver.reason);
    return 0;
  }
  const auto initialise = reinterpret_cast<int (*)(unsigned)>(library_symbol(driver, "cuInit"));
  const auto count = reinterpret_cast<int (*)(int*)>(library_symbol(driver, "cuDeviceGetCount"));
  int devices = 0;
  if (initialise == nullptr || count == nullptr) {
    log_debug("CUDA is not used: libcuda.so.1 is no CUDA driver");
  } else if (const int code = initialise(0); code != 0) {
    log_debug("CUDA is not used: the driver answers with error {}", code);
  } else if (count(&devices) != 0 || devices == 0) {
    log_debug("CUDA is not used: the driver sees no device");
    devices = 0;
  }
  return devices;
}

bool open_torch_cuda() {
  const std::string folder = folder_of_loaded_library("libtorch_cpu.so");
  const SharedLibrary library =
      open_library(folder.empty() ? "libtorch_cuda.so" : folder + "/libtorch_cuda.so");
  if (library.handle != nullptr) return true;
  log_warning("A CUDA device is there but is not used: torch's CUDA library cannot be opened ({})",
              library.reason);
  return false;
}

// Beside the program, in its lib folder, or where the system looks.
bool open_kernels() {
  const std::string folder = program_folder();
  std::string reasons;
  for (const std::string& place : {folder + "/", folder + "/../lib/", std::string()}) {
    const SharedLibrary library = open_library(place + kKernels);
    if (library.handle != nullptr) return true;
    reasons += (reasons.empty() ? "" : "; ") + library.reason;
  }
  log_warning("A CUDA device is there but is not used: {} cannot be opened ({})", kKernels,
              reasons);
  return false;
}

}  // namespace

bool load_cuda() { return count_devices() > 0 && open_torch_cuda() && open_kernels(); }

}  // namespace sdtune
