#include "train/hypernetwork_training.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/log.h"
#include "base/numbers.h"
#include "models/hypernetwork_file.h"
#include "models/unet_2d_condition.h"

namespace sdtune {

namespace {

std::vector<double> factors(const std::string& text) {
  std::vector<double> numbers;
  for (const std::string_view word : list_words(text)) {
    const std::optional<double> number = number_in<double>(word);
    if (!number) {
      throw UsageError(fmt::format("\"{}\" is no list of numbers", text),
                       "--hypernetwork_layer_structure", "give multiples of a width, as 1,2,1");
    }
    numbers.push_back(*number);
  }
  return numbers;
}

HypernetworkLayout layout_of(const HypernetworkOptions& options) {
  HypernetworkLayout layout;
  layout.layer_structure = factors(options.layer_structure);
  layout.activation = options.activation;
  layout.layer_norm = options.layer_norm;
  if (options.dropout > 0) {
    layout.dropout.assign(layout.layer_structure.size(), options.dropout);
    layout.dropout.front() = layout.dropout.back() = 0;
  }
  try {
    check(layout, "--hypernetwork_layer_structure");
  } catch (const Error& error) {
    throw UsageError(error.what(), error.where(), error.hint());
  }
  return layout;
}

void refuse(bool given, const char* what, const char* option, const char* hint) {
  if (given) throw UsageError(what, option, hint);
}

bool describes_layers(const HypernetworkOptions& options) {
  const HypernetworkOptions defaults;
  return options.layer_structure != defaults.layer_structure ||
         options.activation != defaults.activation || options.layer_norm || options.dropout > 0;
}

}  // namespace

void validate_hypernetwork(const TrainOptions& options) {
  const HypernetworkOptions& hypernetwork = options.hypernetwork;
  if (!hypernetwork.trains()) {
    refuse(hypernetwork.weights || describes_layers(hypernetwork), "no hypernetwork is trained",
           "--hypernetwork_weights, --hypernetwork_layer_structure and the like",
           "add --hypernetwork_module=hypernetwork_nai");
    return;
  }
  refuse(options.compatibility.diffusers_xformers,
         "it stands for attention that passes hypernetworks by, so that nothing would be trained",
         "--diffusers_xformers", "leave it out; attention saves memory in any case");
  refuse(options.run.train_text_encoder, "only the hypernetwork is trained", "--train_text_encoder",
         "leave it out, or leave out --hypernetwork_module");
  refuse(options.run.gradient_checkpointing && options.precision.fused_backward_pass,
         "blocks share its weights, and each block's own backward pass would update them",
         "--gradient_checkpointing with --fused_backward_pass", "leave one of them out");
  refuse(options.optimizer.block_lr.has_value(), "only the hypernetwork is trained", "--block_lr",
         "leave it out, or leave out --hypernetwork_module");
  refuse(options.save.save_model_as && options.save.save_model_as->starts_with("diffusers"),
         "a hypernetwork is one file", "--save_model_as",
         "give safetensors, or leave it out for a .pt file");
  refuse(hypernetwork.weights && describes_layers(hypernetwork),
         "the layers are those of --hypernetwork_weights", "--hypernetwork_layer_structure",
         "leave the options of layers out, or start from new weights");
  layout_of(hypernetwork);
}

std::unique_ptr<Hypernetwork> make_hypernetwork(const TrainOptions& options,
                                                const UNet2DConditionModel& unet,
                                                const at::TensorOptions& place) {
  std::unique_ptr<Hypernetwork> hypernetwork;
  if (options.hypernetwork.weights) {
    log_info("reading {}", options.hypernetwork.weights->string());
    hypernetwork = std::make_unique<Hypernetwork>(load_hypernetwork(*options.hypernetwork.weights));
  } else {
    hypernetwork =
        std::make_unique<Hypernetwork>(context_widths(unet), layout_of(options.hypernetwork));
    draw_weights(*hypernetwork, static_cast<uint64_t>(options.run.seed.value_or(0)));
  }
  visit_parameters(*hypernetwork, [&](const std::string&, at::Tensor& parameter) {
    parameter = parameter.to(place).requires_grad_(true);
  });
  return hypernetwork;
}

std::vector<ParameterGroup> hypernetwork_groups(const OptimizerOptions& options,
                                                Hypernetwork& hypernetwork) {
  ParameterGroup group{{}, options.learning_rate, "hypernetwork"};
  visit_parameters(hypernetwork, [&](const std::string& name, at::Tensor& parameter) {
    group.parameters.push_back({"hypernetwork." + name, parameter});
  });
  return {group};
}

std::filesystem::path hypernetwork_path(const TrainOptions& options, SaveMoment moment) {
  const SaveOptions& save = options.save;
  const bool safe =
      save.save_model_as ? *save.save_model_as == "safetensors" : save.use_safetensors;
  return options.run.output_dir / (output_stem(options, moment) + (safe ? ".safetensors" : ".pt"));
}

}  // namespace sdtune
