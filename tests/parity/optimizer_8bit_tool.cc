// sdtune-8bit: quantizes tensors and runs 8-bit optimizers, so that test_8bit.py can hold codes,
// values and steps against bitsandbytes. A test's tool, not installed.
//
//   sdtune-8bit codes INPUTS.safetensors OUTPUT.safetensors
//   sdtune-8bit steps INPUTS.safetensors OUTPUT.safetensors TYPE RATE [key=value ...]
//
// codes: INPUTS holds fp32 tensors `signed` and `unsigned`; OUTPUT `codes.<name>`, `absmax.<name>`
// and what they stand for, `values.<name>`.
// steps: INPUTS holds `weight` and `grad.<step>` from 0 on; OUTPUT after each step `<step>.weight`
// and the state by its names, `<step>.exp_avg_codes` and so on, 8-bit moments also as the values
// they stand for, `<step>.exp_avg`.
#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/optimizer_8bit.h"
#include "optim/make_optimizer.h"
#include "tensor_files.h"

namespace sdtune {
namespace {

Tensors quantize(const Tensors& inputs) {
  Tensors results;
  for (const auto& [name, tensor] : inputs) {
    const Quantized8bit state = quantize_8bit(tensor, name == "signed");
    results["codes." + name] = state.codes;
    results["absmax." + name] = state.absmax;
    results["values." + name] = dequantize_8bit(state, name == "signed");
  }
  return results;
}

void record(Optimizer& optimizer, const std::string& prefix, Tensors& results) {
  Tensors state;
  optimizer.visit_state([&](const std::string& name, at::Tensor& tensor) {
    state[name.substr(name.find('.') + 1)] = tensor.clone();
  });
  for (const auto& [name, tensor] : state) {
    results[prefix + name] = tensor;
    if (!name.ends_with("_codes")) continue;
    const std::string moment = name.substr(0, name.size() - 6);
    results[prefix + moment] =
        dequantize_8bit({tensor, state.at(moment + "_absmax")}, moment != "exp_avg_sq");
  }
}

Tensors take_steps(const Tensors& inputs, const std::vector<std::string>& words) {
  at::Tensor weight = inputs.at("weight").clone().requires_grad_(true);
  const auto optimizer =
      make_optimizer(words.at(0), {{{{"net", weight}}, std::stod(words.at(1))}},
                     OptimizerArguments(std::vector<std::string>(words.begin() + 2, words.end())));
  Tensors results;
  for (int64_t step = 0; inputs.contains(fmt::format("grad.{}", step)); ++step) {
    weight.mutable_grad() = inputs.at(fmt::format("grad.{}", step));
    optimizer->step({.step = step});
    results[fmt::format("{}.weight", step)] = weight.detach().clone();
    record(*optimizer, fmt::format("{}.", step), results);
  }
  return results;
}

void run(const std::vector<std::string>& words) {
  if (words.size() < 3) throw UsageError("three arguments are needed: codes or steps, and files");
  const Tensors inputs = read_all(words[1]);
  const bool steps = words[0] == "steps";
  write_all(words[2],
            steps ? take_steps(inputs, {words.begin() + 3, words.end()}) : quantize(inputs));
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  return sdtune::run_tool("sdtune-8bit", [&] { sdtune::run({argv + 1, argv + argc}); });
}
