// sdtune-optim: runs an optimizer on given gradients and writes the weights that come out, so that
// test_optimizers.py can hold them against the reference packages. A test's tool, not installed.
//
//   sdtune-optim TYPE INPUTS.safetensors OUTPUT.safetensors --lr X [--lr-te X] [--split N]
//                [--averaged] [--bf16] [--args key=value ...]
//
// INPUTS holds `weight.<name>`, `grad.<step>.<name>` from step 0 on, and `factors`, the schedule's
// factor for each step. Weights whose names start with "te" form a second group with --lr-te.
// OUTPUT holds the weights by name and `adapted_rate`. With --split the state moves to a new
// optimizer after N steps, and the tool fails where that changes a byte of the result; --averaged
// writes the weights that a schedule-free rule would save, and checks that the trained ones come
// back.
#include <ATen/ATen.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "optim/make_optimizer.h"
#include "tensor_files.h"

namespace sdtune {
namespace {

struct Request {
  std::string type, inputs, output;
  double rate = 0;
  double rate_te = 0;
  int64_t split = -1;
  bool averaged = false;
  bool bf16 = false;
  std::vector<std::string> arguments;
};

Request parse_request(const std::vector<std::string>& words) {
  if (words.size() < 3) throw UsageError("three arguments are needed: type, inputs, output");
  Request request{.type = words[0], .inputs = words[1], .output = words[2]};
  for (size_t i = 3; i < words.size(); ++i) {
    const auto next = [&] { return i + 1 < words.size() ? words[++i] : std::string("0"); };
    if (words[i] == "--lr") {
      request.rate = request.rate_te = std::stod(next());
    } else if (words[i] == "--lr-te") {
      request.rate_te = std::stod(next());
    } else if (words[i] == "--split") {
      request.split = std::stoll(next());
    } else if (words[i] == "--averaged") {
      request.averaged = true;
    } else if (words[i] == "--bf16") {
      request.bf16 = true;
    } else if (words[i] == "--args") {
      request.arguments.assign(words.begin() + static_cast<int64_t>(i) + 1, words.end());
      break;
    } else {
      throw UsageError("unknown option", words[i]);
    }
  }
  return request;
}

std::vector<ParameterGroup> groups_of(const Request& request, const Tensors& weights) {
  std::vector<ParameterGroup> groups = {{{}, request.rate}, {{}, request.rate_te}};
  for (const auto& [name, weight] : weights) {
    groups[name.starts_with("te") ? 1 : 0].parameters.push_back({name, weight});
  }
  return groups;
}

Tensors copies_of(const Tensors& tensors) {
  Tensors result;
  for (const auto& [name, tensor] : tensors) {
    result[name] = tensor.detach().clone().requires_grad_(true);
  }
  return result;
}

// A new optimizer on copies of the weights, with the state of the old one.
std::unique_ptr<Optimizer> moved(const Request& request, Optimizer& old, Tensors& weights) {
  Tensors state;
  old.visit_state([&](const std::string& name, at::Tensor& t) { state[name] = t.clone(); });
  weights = copies_of(weights);
  auto result = make_optimizer(request.type, groups_of(request, weights),
                               OptimizerArguments(request.arguments));
  result->visit_state([&](const std::string& name, at::Tensor& t) { t.copy_(state.at(name)); });
  return result;
}

// The weights that would be saved. Error when going back from them changes the trained ones.
Tensors averaged(Optimizer& optimizer, const Tensors& weights) {
  const Tensors trained = copies_of(weights);
  optimizer.use_averaged_weights(true);
  Tensors results = copies_of(weights);
  optimizer.use_averaged_weights(false);
  for (const auto& [name, weight] : weights) {
    if (!weight.equal(trained.at(name))) throw Error("the trained weights did not come back", name);
  }
  return results;
}

// All steps, with a new optimizer at step `split`.
Tensors train(const Request& request, const Tensors& inputs, int64_t split) {
  Tensors weights;
  for (const auto& [name, tensor] : inputs) {
    if (!name.starts_with("weight.")) continue;
    const at::Tensor weight = request.bf16 ? tensor.to(at::kBFloat16) : tensor.clone();
    weights[name.substr(7)] = weight.requires_grad_(true);
  }
  auto optimizer = make_optimizer(request.type, groups_of(request, weights),
                                  OptimizerArguments(request.arguments));
  const at::Tensor factors = inputs.at("factors");
  for (int64_t step = 0; step < factors.numel(); ++step) {
    if (step == split) optimizer = moved(request, *optimizer, weights);
    for (auto& [name, weight] : weights) {
      const auto gradient = inputs.find(fmt::format("grad.{}.{}", step, name));
      if (gradient == inputs.end()) continue;
      weight.mutable_grad() = gradient->second.to(weight.scalar_type(), false, /*copy=*/true);
    }
    optimizer->step({.lr_factor = factors[step].item<double>(), .seed = 1, .step = step});
    optimizer->zero_grad();
  }
  Tensors results = request.averaged ? averaged(*optimizer, weights) : weights;
  results["adapted_rate"] = at::full({1}, optimizer->adapted_rate(0).value_or(-1), at::kFloat);
  return results;
}

void run(const Request& request) {
  const Tensors inputs = read_all(request.inputs);
  const Tensors results = train(request, inputs, request.split);
  if (request.split >= 0) {
    for (const auto& [name, straight] : train(request, inputs, -1)) {
      if (!straight.equal(results.at(name))) throw Error("going on from a state changes it", name);
    }
  }
  write_all(request.output, results);
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  return sdtune::run_tool("sdtune-optim", [&] {
    sdtune::run(sdtune::parse_request({argv + 1, argv + argc}));
  });
}
