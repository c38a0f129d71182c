#include "annotate/onnx_model.h"

#include "base/error.h"
#include "base/files.h"
#include "base/shared_library.h"
#include "base/system.h"

namespace sdtune {
namespace {

constexpr const char* kLibrary = "libsdtune_onnx.so";

// Beside the program, in its lib folder, or where the system looks.
SharedLibrary open_engine() {
  const std::string folder = program_folder();
  std::string reasons;
  for (const std::string& place : {folder + "/", folder + "/../lib/", std::string()}) {
    SharedLibrary library = open_library(place + kLibrary);
    if (library.handle != nullptr) return library;
    reasons += (reasons.empty() ? "" : "; ") + library.reason;
  }
  throw Error(
      fmt::format("taggers cannot be computed: {} cannot be opened ({})", kLibrary, reasons), "",
      "build sdtune with OpenVINO: scripts/bootstrap fetches it, then `make build` (without "
      "SDTUNE_OPENVINO=OFF)");
}

}  // namespace

std::unique_ptr<OnnxModel> open_onnx_model(const OnnxOptions& options) {
  if (!fs::is_regular_file(options.path)) {
    throw Error("there is no such model", options.path.string());
  }
  const SharedLibrary library = open_engine();
  const auto open = reinterpret_cast<OpenOnnxFunction*>(library_symbol(library, kOpenOnnxSymbol));
  if (open == nullptr) {
    throw Error(fmt::format("{} is of another version of sdtune", kLibrary), "",
                "build both anew with `make build`");
  }
  return std::unique_ptr<OnnxModel>(open(options));
}

}  // namespace sdtune
