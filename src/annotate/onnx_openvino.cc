// libsdtune_onnx.so: ONNX models computed by OpenVINO. Only this file sees OpenVINO, and only
// onnx_model.cc opens what it becomes.
#include <algorithm>
#include <openvino/openvino.hpp>

#include "annotate/onnx_model.h"
#include "base/error.h"

namespace sdtune {
namespace {

int64_t fixed(const ov::Dimension& dimension) {
  return dimension.is_static() ? dimension.get_length() : 0;
}

[[noreturn]] void refuse(const OnnxOptions& options, const std::string& what) {
  throw Error(
      "this is no model that tags pictures: " + what, options.path.string(),
      "A tagger takes [batch, side, side, 3] or [batch, 3, side, side] of float32, and gives "
      "[batch, tags].");
}

// Which of the axes are the picture's, told by where the three colours are.
OnnxFacts facts_of(const ov::Model& model, const OnnxOptions& options) {
  if (model.inputs().size() != 1) refuse(options, "it has more than one input");
  const ov::PartialShape shape = model.input().get_partial_shape();
  if (shape.rank().is_dynamic() || shape.size() != 4) {
    refuse(options, "its input is " + shape.to_string());
  }
  if (model.input().get_element_type() != ov::element::f32) {
    refuse(options, "its input is of type " + model.input().get_element_type().get_type_name());
  }
  OnnxFacts facts;
  facts.batch = fixed(shape[0]);
  facts.channels_last = fixed(shape[3]) == 3;
  if (!facts.channels_last && fixed(shape[1]) != 3) {
    refuse(options, "its input is " + shape.to_string());
  }
  const size_t first = facts.channels_last ? 1 : 2;
  facts.side = fixed(shape[first]);
  if (facts.side != fixed(shape[first + 1]))
    refuse(options, "it wants pictures that are no squares");
  const ov::PartialShape scores = model.output(0).get_partial_shape();
  if (scores.rank().is_static() && scores.size() == 2) facts.scores = fixed(scores[1]);
  return facts;
}

std::string device_of(ov::Core& core, const OnnxOptions& options) {
  const std::string wanted = options.device == "gpu" ? "GPU" : "CPU";
  const std::vector<std::string> devices = core.get_available_devices();
  const auto is_wanted = [&](const std::string& name) { return name.starts_with(wanted); };
  if (std::any_of(devices.begin(), devices.end(), is_wanted)) return wanted;
  throw Error(fmt::format("OpenVINO finds no {} here, only {}", wanted, fmt::join(devices, ", ")),
              "--device", "leave the option out to compute on the CPU");
}

class OpenVinoModel : public OnnxModel {
 public:
  explicit OpenVinoModel(const OnnxOptions& options) : path_(options.path.string()) {
    const std::shared_ptr<ov::Model> model = core_.read_model(path_);
    facts_ = facts_of(*model, options);
    const std::string device = device_of(core_, options);
    // Full precision where the processor would rather take bf16: scores are compared with
    // thresholds.
    ov::AnyMap settings{{ov::hint::inference_precision.name(), ov::element::f32},
                        {ov::hint::performance_mode.name(), ov::hint::PerformanceMode::LATENCY}};
    if (device == "CPU") settings[ov::inference_num_threads.name()] = options.threads;
    request_ = core_.compile_model(model, device, settings).create_infer_request();
    facts_.engine = fmt::format("OpenVINO {}.{}.{} on {} ({})", OPENVINO_VERSION_MAJOR,
                                OPENVINO_VERSION_MINOR, OPENVINO_VERSION_PATCH, device,
                                core_.get_property(device, ov::device::full_name));
  }

  const OnnxFacts& facts() const override { return facts_; }

  std::vector<float> run(std::span<const float> pixels, int64_t batch, int64_t side) override {
    try {
      return infer(pixels, static_cast<size_t>(batch), static_cast<size_t>(side));
    } catch (const ov::Exception& error) {
      throw Error(std::string("the model cannot compute these pictures: ") + error.what(), path_);
    }
  }

 private:
  std::vector<float> infer(std::span<const float> pixels, size_t batch, size_t side) {
    const ov::Shape shape =
        facts_.channels_last ? ov::Shape{batch, side, side, 3} : ov::Shape{batch, 3, side, side};
    ov::Tensor input(ov::element::f32, shape);
    std::copy(pixels.begin(), pixels.end(), input.data<float>());
    request_.set_input_tensor(input);
    request_.infer();
    const ov::Tensor output = request_.get_output_tensor(0);
    if (output.get_element_type() != ov::element::f32 || output.get_size() % batch != 0) {
      throw Error("the model's scores are not one row of float32 for each picture", path_);
    }
    const float* scores = output.data<float>();
    return {scores, scores + output.get_size()};
  }

  std::string path_;
  ov::Core core_;
  ov::InferRequest request_;
  OnnxFacts facts_;
};

}  // namespace
}  // namespace sdtune

extern "C" sdtune::OnnxModel* sdtune_open_onnx(const sdtune::OnnxOptions& options) {
  try {
    return new sdtune::OpenVinoModel(options);
  } catch (const ov::Exception& error) {
    throw sdtune::Error(
        std::string("this is no ONNX model that OpenVINO can read: ") + error.what(),
        options.path.string(), "Download the file again.");
  }
}
