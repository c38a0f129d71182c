#include "train/trainee.h"

#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "optim/adamw.h"
#include "train/latent_encoder.h"

namespace sdtune {

namespace {

template <class Model>
void place(Model& model, at::Device device, bool trained) {
  visit_parameters(model, [&](const std::string&, at::Tensor& parameter) {
    parameter = parameter.to(device).requires_grad_(trained);
  });
}

template <class Model>
ParameterGroup group_of(Model& model, const std::string& prefix, double learning_rate) {
  ParameterGroup group{{}, learning_rate};
  visit_parameters(model, [&](const std::string& name, at::Tensor& p) {
    group.parameters.push_back({prefix + name, p});
  });
  return group;
}

// "weight_decay=0.01", "betas=0.9,0.999" (also "(0.9, 0.999)"), "eps=1e-8".
AdamWOptions adamw_options(const std::vector<std::string>& arguments) {
  AdamWOptions options;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals);
    std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    std::erase_if(value,
                  [](char c) { return c == '(' || c == ')' || c == '[' || c == ']' || c == ' '; });
    std::vector<double> numbers;
    try {
      for (size_t at = 0; at < value.size();) {
        size_t used = 0;
        numbers.push_back(std::stod(value.substr(at), &used));
        at += used;
        if (at < value.size() && value[at++] != ',') throw std::invalid_argument(value);
      }
    } catch (const std::exception&) {
      numbers.clear();
    }
    if (key == "betas" && numbers.size() == 2) {
      options.beta1 = numbers[0];
      options.beta2 = numbers[1];
    } else if (key == "eps" && numbers.size() == 1) {
      options.eps = numbers[0];
    } else if (key == "weight_decay" && numbers.size() == 1) {
      options.weight_decay = numbers[0];
    } else {
      throw UsageError(fmt::format("\"{}\" is no setting of AdamW", argument), "--optimizer_args",
                       "use weight_decay=0.01, betas=0.9,0.999 or eps=1e-8");
    }
  }
  return options;
}

std::unique_ptr<Optimizer> make_optimizer(const TrainOptions& options, UNet2DConditionModel& unet,
                                          ClipTextModel& text_encoder) {
  const double rate = options.optimizer.learning_rate;
  std::vector<ParameterGroup> groups = {group_of(unet, "unet.", rate)};
  if (options.run.train_text_encoder) {
    groups.push_back(
        group_of(text_encoder, "text_encoder.", options.optimizer.learning_rate_te.value_or(rate)));
  }
  return std::make_unique<AdamW>(std::move(groups),
                                 adamw_options(options.optimizer.optimizer_args));
}

}  // namespace

Trainee make_trainee(const TrainOptions& options, at::Device device) {
  const Precision precision = choose_precision(options.run.mixed_precision, device);
  const auto source = open_model({options.model.pretrained_model_name_or_path, options.model.v2,
                                  options.model.v_parameterization,
                                  options.model.vae.value_or(std::filesystem::path())});
  Objective objective = make_objective(options.noise, options.loss, source->prediction, device);
  const bool trains_text = options.run.train_text_encoder;
  if (options.run.clip_skip > source->text_config.num_hidden_layers) {
    throw UsageError(
        fmt::format("the text encoder has {} layers", source->text_config.num_hidden_layers),
        "--clip_skip");
  }
  log_info("reading {}", source->path.string());
  const auto begin = std::chrono::steady_clock::now();
  UNet2DConditionModel unet = load_unet(*source);
  AutoencoderKL vae = load_frozen_vae(*source, precision.compute, device);
  ClipTextModel text_encoder =
      load_text_encoder(*source, trains_text ? at::kFloat : precision.compute);
  place(unet, device, true);
  place(text_encoder, device, trains_text);
  const std::chrono::duration<double> reading = std::chrono::steady_clock::now() - begin;
  unet.compute_dtype = text_encoder.compute_dtype = precision.compute;
  unet.gradient_checkpointing = options.run.gradient_checkpointing;
  text_encoder.gradient_checkpointing = options.run.gradient_checkpointing && trains_text;
  std::unique_ptr<Optimizer> optimizer = make_optimizer(options, unet, text_encoder);
  return {source,
          device,
          precision,
          std::move(unet),
          std::move(vae),
          std::move(text_encoder),
          trains_text,
          std::move(optimizer),
          precision.scale_loss ? std::optional<GradScaler>(device) : std::nullopt,
          std::move(objective),
          ClipTokenizer(),
          options.run.clip_skip,
          static_cast<int>(options.dataset.captions.max_token_length),
          options.dataset.captions.weighted_captions,
          TextStates(),
          reading.count()};
}

at::Tensor encode_latents(const Trainee& trainee, const at::Tensor& pictures,
                          const at::Tensor& noise) {
  const at::NoGradGuard no_grad;
  const at::Tensor moments = trainee.vae->encode(pictures.to(trainee.device));
  return sample_posterior(moments, noise.to(trainee.device)) * trainee.vae->config.scaling_factor;
}

}  // namespace sdtune
