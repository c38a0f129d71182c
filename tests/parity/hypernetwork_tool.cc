// sdtune-hypernetwork: runs hypernetworks read from files, so that test_hypernetworks.py can hold
// them against PyTorch. A test's tool, not installed.
//
//   sdtune-hypernetwork modules FILE INPUTS OUTPUT COPY [FILE INPUTS …]
//     INPUTS holds `x.<width>` and `multiplier`; OUTPUT gets `<width>.0` and `<width>.1`, what keys
//     and values are made from; COPY is the hypernetwork written again, in the form its name says.
//   sdtune-hypernetwork unet FOLDER FILE INPUTS OUTPUT [--v2] [--checkpointing]
//     INPUTS holds the U-Net's arguments and `cotangent`; the loss is sum(output * cotangent).
//     OUTPUT gets `output` and `grad.<parameter>` of the hypernetwork.
#include <ATen/ATen.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"
#include "models/hypernetwork_file.h"
#include "models/weight_values.h"

namespace sdtune {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

Tensors read_tensors(const std::string& path) {
  const auto file = open_safetensors(path);
  Tensors tensors;
  for (const TensorInfo& info : file->tensors()) {
    tensors[info.name] =
        read_tensor(values_in_file(*file, info), info.shape, scalar_type_of(info.dtype));
  }
  return tensors;
}

void write_tensors(const std::string& path, const Tensors& tensors) {
  std::vector<TensorToWrite> writes;
  for (const auto& [name, tensor] : tensors) {
    writes.push_back(
        {{name, DType::kF32, tensor.sizes().vec()}, [tensor = tensor](const ByteSink& sink) {
           write_values(values_of(tensor), DType::kF32, sink);
         }});
  }
  write_safetensors(path, writes);
}

void run_modules(const std::string* args) {
  Hypernetwork hypernetwork = load_hypernetwork(args[0]);
  const Tensors inputs = read_tensors(args[1]);
  const HypernetworkCall call{.multiplier = inputs.at("multiplier").item<double>()};
  Tensors results;
  for (const auto& [width, pair] : hypernetwork.pairs) {
    const std::string name = std::to_string(width);
    results[name + ".0"] = pair.keys.forward(inputs.at("x." + name), call);
    results[name + ".1"] = pair.values.forward(inputs.at("x." + name), call);
  }
  write_tensors(args[2], results);
  save_hypernetwork(hypernetwork, {.path = args[3], .step = 3, .name = "copy"});
}

void run_unet(const std::vector<std::string>& args) {
  const auto asked = [&](const char* flag) { return std::ranges::find(args, flag) != args.end(); };
  UNet2DConditionModel unet = load_unet(*open_model({.path = args.at(1), .v2 = asked("--v2")}));
  Hypernetwork hypernetwork = load_hypernetwork(args.at(2));
  visit_parameters(hypernetwork, [](const std::string&, at::Tensor& p) { p.requires_grad_(true); });
  unet.gradient_checkpointing = asked("--checkpointing");
  attach(unet, hypernetwork);
  const Tensors inputs = read_tensors(args.at(3));
  const at::Tensor output =
      unet.forward(inputs.at("sample"), inputs.at("timesteps"), inputs.at("encoder_hidden_states"));
  (output * inputs.at("cotangent")).sum().backward();
  Tensors results{{"output", output}};
  for (const auto& [name, parameter] : named_parameters(hypernetwork)) {
    if (parameter.grad().defined()) results["grad." + name] = parameter.grad();
  }
  write_tensors(args.at(4), results);
}

void run(const std::vector<std::string>& args) {
  if (args.size() >= 5 && args.size() % 4 == 1 && args[0] == "modules") {
    for (size_t i = 1; i < args.size(); i += 4) run_modules(&args[i]);
    return;
  }
  if (args.size() >= 5 && args[0] == "unet") return run_unet(args);
  throw UsageError("see hypernetwork_tool.cc for what is to be given");
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  try {
    sdtune::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "sdtune-hypernetwork: " << e.what() << "\n";
    return 1;
  }
}
