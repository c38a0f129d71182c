#include "train/parameter_groups.h"

#include "base/error.h"
#include "models/parameters.h"
#include "train/block_rates.h"

namespace sdtune {

namespace {

ParameterGroup& group_named(std::vector<ParameterGroup>& groups, const std::string& name,
                            double rate) {
  for (ParameterGroup& group : groups) {
    if (group.name == name) return group;
  }
  groups.push_back({{}, rate, name});
  return groups.back();
}

void add_blocks(const OptimizerOptions& options, UNet2DConditionModel& unet,
                std::vector<ParameterGroup>& groups) {
  const BlockRates rates(*options.block_lr);
  rates.check(unet.config);
  std::vector<std::string> names;
  visit_parameters(unet, [&](const std::string& name, at::Tensor& parameter) {
    names.push_back(name);
    const BlockRates::Rate rate = rates.of(unet.config, name, options.learning_rate);
    if (rate.value == 0) {
      parameter.requires_grad_(false);
      return;
    }
    const std::string group = rate.part.empty() ? "unet" : "unet." + rate.part;
    group_named(groups, group, rate.value).parameters.push_back({"unet." + name, parameter});
  });
  if (const std::vector<std::string> unused = rates.unused(names); !unused.empty()) {
    throw UsageError(fmt::format("the U-Net has no part \"{}\"", unused.front()), "--block_lr",
                     "parts are down_blocks.0, down_blocks.1.attentions, mid_block, up_blocks.3, "
                     "conv_in, time_embedding and the like");
  }
  if (groups.empty()) throw UsageError("nothing of the U-Net would be trained", "--block_lr");
}

}  // namespace

std::vector<ParameterGroup> parameter_groups(const OptimizerOptions& options,
                                             UNet2DConditionModel& unet,
                                             ClipTextModel* text_encoder) {
  std::vector<ParameterGroup> groups;
  const auto add_model = [&](auto& model, const std::string& name, double rate) {
    ParameterGroup& group = groups.emplace_back(ParameterGroup{{}, rate, name});
    visit_parameters(model, [&](const std::string& parameter, at::Tensor& tensor) {
      group.parameters.push_back({name + "." + parameter, tensor});
    });
  };
  if (options.block_lr) {
    add_blocks(options, unet, groups);
  } else {
    add_model(unet, "unet", options.learning_rate);
  }
  if (text_encoder != nullptr) {
    add_model(*text_encoder, "text_encoder",
              options.learning_rate_te.value_or(options.learning_rate));
  }
  return groups;
}

}  // namespace sdtune
