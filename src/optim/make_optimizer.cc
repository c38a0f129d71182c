#include "optim/make_optimizer.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

OptimizerTable all_optimizers() {
  OptimizerTable all;
  for (const auto& family : {adam_optimizers, sgd_optimizers, lion_optimizers, adafactor_optimizers,
                             d_adaptation_optimizers, d_adapt_adan_optimizers, prodigy_optimizers,
                             schedule_free_optimizers, came_optimizers, adan_optimizers,
                             adam_variants, optimizers_8bit}) {
    for (OptimizerEntry& entry : family()) all.push_back(std::move(entry));
  }
  return all;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

[[noreturn]] void refuse(const std::string& type) {
  const std::vector<std::string> names = optimizer_names();
  std::vector<std::string> small(names.size());
  std::transform(names.begin(), names.end(), small.begin(), lower);
  const std::string near = nearest_name(lower(type), small);
  std::string hint = fmt::format("there are {}", fmt::join(names, ", "));
  if (!near.empty()) {
    const auto found = std::find(small.begin(), small.end(), near) - small.begin();
    hint = fmt::format("did you mean {}? {}", names[static_cast<size_t>(found)], hint);
  }
  throw UsageError(fmt::format("there is no optimizer \"{}\"", type), "--optimizer_type", hint);
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const std::string& type,
                                          std::vector<ParameterGroup> groups,
                                          const OptimizerArguments& arguments) {
  // "torch.optim.RAdam" is the class that a package has under this name.
  const std::string name = lower(type.substr(type.rfind('.') + 1));
  for (const OptimizerEntry& entry : all_optimizers()) {
    if (lower(entry.name) != name) continue;
    ArgumentReader reader(arguments);
    std::unique_ptr<Optimizer> optimizer = entry.make(std::move(groups), reader);
    bool rounds = true;
    reader.flag("stochastic_rounding", rounds);
    optimizer->round_stochastically(rounds);
    reader.refuse_others(entry.name);
    return optimizer;
  }
  refuse(type);
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const OptimizerEntry& entry : all_optimizers()) names.push_back(entry.name);
  return names;
}

}  // namespace sdtune
