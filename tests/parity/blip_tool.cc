// sdtune-blip: a captioner's numbers, so that test_blip.py can hold them against Transformers. A
// test's tool, not installed.
//
//   sdtune-blip logits MODEL INPUTS.safetensors OUTPUT.safetensors [--bf16]
//       INPUTS: `pixel_values`, `input_ids`. OUTPUT: `states` of the picture, `logits` of the
//       words.
//   sdtune-blip pixels PICTURE SIDE OUTPUT.safetensors
//       OUTPUT: `pixel_values`.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "annotate/blip_pixels.h"
#include "base/error.h"
#include "image/decode.h"
#include "models/blip_files.h"
#include "tensor_files.h"

namespace sdtune {
namespace {

void write_logits(const std::vector<std::string>& args) {
  const at::NoGradGuard off;
  const at::ScalarType type = args.size() > 4 ? at::kBFloat16 : at::kFloat;
  const Blip blip = load_blip(args[1], type);
  const Tensors inputs = read_all(args[2]);
  const at::Tensor states = blip.vision_model.forward(inputs.at("pixel_values").to(type));
  const at::Tensor& ids = inputs.at("input_ids");
  BlipTextCache cache = blip.text_decoder.begin(states, ids.size(1));
  const at::Tensor logits = blip.text_decoder.logits(blip.text_decoder.forward(ids, cache));
  write_all(args[3], {{"states", states}, {"logits", logits}});
}

void write_pixels(const std::vector<std::string>& args) {
  const int side = std::stoi(args[2]);
  const at::Tensor planes = at::empty({3, side, side});
  to_blip_planes(blip_square(decode_image(args[1]), side), planes.mutable_data_ptr<float>());
  write_all(args[3], {{"pixel_values", planes}});
}

void run(const std::vector<std::string>& args) {
  if (args.size() >= 4 && args[0] == "logits") return write_logits(args);
  if (args.size() == 4 && args[0] == "pixels") return write_pixels(args);
  throw UsageError("see the head of blip_tool.cc");
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  return sdtune::run_tool("sdtune-blip", [&] { sdtune::run({argv + 1, argv + argc}); });
}
