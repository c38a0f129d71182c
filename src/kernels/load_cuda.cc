#include "kernels/load_cuda.h"

#include <ATen/Context.h>

#include <string>

#include "base/log.h"
#include "base/shared_library.h"
#include "base/system.h"

namespace sdtune {

namespace {

constexpr int kTorchCuda = 13000;  // of the pinned wheels; 1000 · major + 10 · minor
constexpr int kOldestDevice = 75;  // that torch's kernels and ours are compiled for
constexpr const char* kKernels = "libsdtune_cuda.so";

template <class Function>
Function* symbol(const SharedLibrary& library, const char* name) {
  return reinterpret_cast<Function*>(library_symbol(library, name));
}

// Why the driver's devices cannot be used, or "". Torch must not be asked before its CUDA library
// is there.
std::string fault_of(const SharedLibrary& driver, int devices) {
  const auto version = symbol<int(int*)>(driver, "cuDriverGetVersion");
  const auto attribute = symbol<int(int*, int, int)>(driver, "cuDeviceGetAttribute");
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
  if (version == nullptr || attribute == nullptr) return "libcuda.so.1 is no CUDA driver";
  int newest = 0;
  if (version(&newest) != 0 || newest < kTorchCuda) {
    return fmt::format("its driver knows CUDA up to {}.{}, torch needs {}.{}: install a newer one",
                       newest / 1000, newest % 1000 / 10, kTorchCuda / 1000,
                       kTorchCuda % 1000 / 10);
  }
  for (int device = 0; device < devices; ++device) {
    int major = 0, minor = 0;
    if (attribute(&major, kMajor, device) != 0 || attribute(&minor, kMinor, device) != 0 ||
        10 * major + minor < kOldestDevice) {
      return fmt::format(
          "device {} has compute capability {}.{}, and {}.{} is the least: leave it out with "
          "CUDA_VISIBLE_DEVICES where there are others",
          device, major, minor, kOldestDevice / 10, kOldestDevice % 10);
    }
  }
  return "";
}

bool has_usable_devices() {
  const SharedLibrary driver = open_library("libcuda.so.1");
  if (driver.handle == nullptr) {
    log_debug("CUDA is not used: no driver ({})", driver.reason);
    return false;
  }
  const auto initialise = symbol<int(unsigned)>(driver, "cuInit");
  const auto count = symbol<int(int*)>(driver, "cuDeviceGetCount");
  int devices = 0;
  if (initialise == nullptr || count == nullptr) {
    log_debug("CUDA is not used: libcuda.so.1 is no CUDA driver");
  } else if (const int code = initialise(0); code != 0) {
    log_debug("CUDA is not used: the driver answers with error {}", code);
  } else if (count(&devices) != 0 || devices == 0) {
    log_debug("CUDA is not used: the driver sees no device");
  } else if (const std::string fault = fault_of(driver, devices); !fault.empty()) {
    log_warning("A CUDA device is there but is not used: {}", fault);
  } else {
    return true;
  }
  return false;
}

// cuDNN compiles some of its kernels while it runs; the compiler opens its second half by a bare
// name, which the system need not know.
void open_runtime_compiler(const std::string& torch_folder) {
  for (const char* name : {"libnvrtc-builtins.so.13.0", "libnvrtc.so.13"}) {
    open_library(torch_folder + "/../../nvidia/cu13/lib/" + name);
  }
}

bool open_torch_cuda() {
  const std::string folder = folder_of_loaded_library("libtorch_cpu.so");
  open_runtime_compiler(folder);
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

bool load_cuda() {
  if (!has_usable_devices() || !open_torch_cuda() || !open_kernels()) return false;
  if (at::getNumGPUs() > 0) return true;
  log_warning("A CUDA device is there but is not used: torch finds none");
  return false;
}

}  // namespace sdtune
