// A model in ONNX with one picture tensor in and one score tensor out. What computes it is a
// library of its own, libsdtune_onnx.so over OpenVINO, opened when the first model is: the program
// starts, and does everything else, without it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sdtune {

struct OnnxFacts {
  int64_t batch = 0;           // that the model is made for; 0: any
  bool channels_last = false;  // [batch, side, side, 3], else [batch, 3, side, side]
  int64_t side = 0;            // 0: any
  int64_t scores = 0;          // of each picture; 0: told by the first run
  std::string engine;          // what computes and where: "OpenVINO 2026.4.1 on CPU"
};

class OnnxModel {
 public:
  virtual ~OnnxModel() = default;
  virtual const OnnxFacts& facts() const = 0;
  // `pixels` as facts() and `side` say, of `batch` pictures, which is facts().batch where that is
  // not 0. Returns [batch, scores]. Error when the model cannot compute them.
  virtual std::vector<float> run(std::span<const float> pixels, int64_t batch, int64_t side) = 0;
};

struct OnnxOptions {
  std::filesystem::path path;
  std::string device = "auto";  // or "cpu", "gpu" (Intel's)
  int threads = 1;
};

// Error when the build has no such library, when the file is missing or no such model, and when
// there is no such device.
std::unique_ptr<OnnxModel> open_onnx_model(const OnnxOptions& options);

// The library's one function, by this name. It throws as open_onnx_model does.
using OpenOnnxFunction = OnnxModel*(const OnnxOptions& options);
inline constexpr const char* kOpenOnnxSymbol = "sdtune_open_onnx";

}  // namespace sdtune
