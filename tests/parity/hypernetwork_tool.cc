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
#include <string>
#include <vector>

#include "base/error.h"
#include "models/hypernetwork_file.h"
#include "tensor_files.h"

namespace sdtune {
namespace {

void run_modules(const std::string* args) {
  Hypernetwork hypernetwork = load_hypernetwork(args[0]);
  const Tensors inputs = read_all(args[1]);
  const HypernetworkCall call{.multiplier = inputs.at("multiplier").item<double>()};
  Tensors results;
  for (const auto& [width, pair] : hypernetwork.pairs) {
    const std::string name = std::to_string(width);
    results[name + ".0"] = pair.keys.forward(inputs.at("x." + name), call);
    results[name + ".1"] = pair.values.forward(inputs.at("x." + name), call);
  }
  write_all(args[2], results);
  save_hypernetwork(hypernetwork, {.path = args[3], .step = 3, .name = "copy"});
}

void run_unet(const std::vector<std::string>& args) {
  const auto asked = [&](const char* flag) { return std::ranges::find(args, flag) != args.end(); };
  UNet2DConditionModel unet = load_unet(*open_model({.path = args.at(1), .v2 = asked("--v2")}));
  Hypernetwork hypernetwork = load_hypernetwork(args.at(2));
  visit_parameters(hypernetwork, [](const std::string&, at::Tensor& p) { p.requires_grad_(true); });
  unet.gradient_checkpointing = asked("--checkpointing");
  attach(unet, hypernetwork);
  const Tensors inputs = read_all(args.at(3));
  const at::Tensor output =
      unet.forward(inputs.at("sample"), inputs.at("timesteps"), inputs.at("encoder_hidden_states"));
  (output * inputs.at("cotangent")).sum().backward();
  Tensors results{{"output", output}};
  for (const auto& [name, parameter] : named_parameters(hypernetwork)) {
    if (parameter.grad().defined()) results["grad." + name] = parameter.grad();
  }
  write_all(args.at(4), results);
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
  return sdtune::run_tool("sdtune-hypernetwork", [&] { sdtune::run({argv + 1, argv + argc}); });
}
