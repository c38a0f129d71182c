#include "train/trainee.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "kernels/cpu_allocator.h"
#include "optim/make_optimizer.h"
#include "train/device_memory.h"
#include "train/hypernetwork_training.h"
#include "train/latent_encoder.h"
#include "train/parameter_groups.h"

namespace sdtune {

namespace {

template <class Model>
void place(Model& model, at::Device device) {
  visit_parameters(
      model, [&](const std::string&, at::Tensor& parameter) { parameter = parameter.to(device); });
}

template <class Model>
void require_gradients(Model& model, bool trained) {
  visit_parameters(
      model, [&](const std::string&, at::Tensor& parameter) { parameter.requires_grad_(trained); });
}

std::unique_ptr<Optimizer> optimizer_for(const TrainOptions& options,
                                         std::vector<ParameterGroup> groups) {
  auto optimizer = make_optimizer(options.optimizer.type(), std::move(groups),
                                  OptimizerArguments(options.optimizer.optimizer_args));
  optimizer->remark_on_rates();
  if (options.precision.offload_optimizer) optimizer->keep_state_on_host();
  return optimizer;
}

std::vector<NamedParameter> all_parameters(const Optimizer& optimizer) {
  std::vector<NamedParameter> all;
  for (const ParameterGroup& group : optimizer.groups()) {
    all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  }
  return all;
}

// Why the options leave no graphs; "" where they do.
std::string why_no_graphs(const TrainOptions& options, const Hypernetwork* hypernetwork,
                          at::Device device) {
  if (!device.is_cuda()) return "the run computes on a CPU, which has no graphs";
  if (options.run.train_text_encoder) return "the text encoder is trained, and is not part of them";
  if (options.precision.fused_backward_pass) return "--fused_backward_pass keeps no gradients";
  const auto draws = [](double share) { return share > 0; };
  if (hypernetwork != nullptr && std::ranges::any_of(hypernetwork->layout.dropout, draws)) {
    return "a hypernetwork's dropout is drawn on the host";
  }
  return "";
}

std::unique_ptr<GraphsByShape> graphs_for(const TrainOptions& options,
                                          const Hypernetwork* hypernetwork, at::Device device) {
  if (!options.precision.cuda_graphs) return nullptr;
  if (const std::string reason = why_no_graphs(options, hypernetwork, device); !reason.empty()) {
    log_warning("--cuda_graphs has no effect: {}", reason);
    return nullptr;
  }
  return std::make_unique<GraphsByShape>(device, [device] { return make_cuda_graph(device); });
}

}  // namespace

Trainee make_trainee(const TrainOptions& options, at::Device device) {
  const Precision precision = choose_precision(options.precision, device, computes_bf16(device));
  const auto source = open_model({options.model.model_path(), options.model.v2,
                                  options.model.v_parameterization, options.model.vae_path()});
  Objective objective = make_objective(options.noise, options.loss, source->prediction, device);
  const bool trains_text = options.run.train_text_encoder;
  const bool trains_unet = !options.hypernetwork.trains();
  if (options.run.clip_skip > source->text_config.num_hidden_layers) {
    throw UsageError(
        fmt::format("the text encoder has {} layers", source->text_config.num_hidden_layers),
        "--clip_skip");
  }
  log_info("reading {}", source->path.string());
  const auto begin = std::chrono::steady_clock::now();
  UNet2DConditionModel unet =
      load_unet(*source, trains_unet ? precision.weights : precision.compute);
  AutoencoderKL vae = load_frozen_vae(*source, precision.vae, device);
  ClipTextModel text_encoder =
      load_text_encoder(*source, trains_text ? precision.weights : precision.compute);
  place(unet, device);
  place(text_encoder, device);
  if (wants_channels_last(precision.compute, device)) use_channels_last(unet);
  require_gradients(unet, trains_unet);
  require_gradients(text_encoder, trains_text);
  const std::chrono::duration<double> reading = std::chrono::steady_clock::now() - begin;
  unet.compute_dtype = text_encoder.compute_dtype = precision.compute;
  unet.gradient_checkpointing = options.run.gradient_checkpointing;
  text_encoder.gradient_checkpointing = options.run.gradient_checkpointing && trains_text;
  std::unique_ptr<Hypernetwork> hypernetwork;
  if (!trains_unet) {
    hypernetwork =
        make_hypernetwork(options, unet, at::TensorOptions(precision.weights).device(device));
    attach(unet, *hypernetwork);
  }
  release_free_memory();
  const uint64_t loaded = bytes_in_use(device);
  std::unique_ptr<Optimizer> optimizer = optimizer_for(
      options, hypernetwork ? hypernetwork_groups(options.optimizer, *hypernetwork)
                            : parameter_groups(options.optimizer, unet,
                                               trains_text ? &text_encoder : nullptr));
  std::unique_ptr<FusedBackward> fused;
  if (options.precision.fused_backward_pass) {
    fused = std::make_unique<FusedBackward>(*optimizer, options.optimizer.max_grad_norm);
  }
  std::unique_ptr<GraphsByShape> graphs = graphs_for(options, hypernetwork.get(), device);
  if (graphs) optimizer->keep_gradients();
  std::optional<Ema> ema;
  if (options.ema.ema) {
    ema.emplace(all_parameters(*optimizer), options.ema.ema_decay, options.ema.ema_cpu);
  }
  const SideStream inputs_stream(device);
  inputs_stream.wait_for_stream_in_use();  // for the models and the noise schedule
  return {source,
          device,
          precision,
          std::move(unet),
          std::move(hypernetwork),
          std::move(vae),
          std::move(text_encoder),
          trains_text,
          trains_text,
          std::move(optimizer),
          std::move(fused),
          std::move(ema),
          precision.scale_loss ? std::optional<GradScaler>(device) : std::nullopt,
          std::move(graphs),
          inputs_stream,
          std::move(objective),
          ClipTokenizer(),
          options.run.clip_skip,
          static_cast<int>(options.dataset.captions.max_token_length),
          options.dataset.captions.weighted_captions,
          TextStates(),
          reading.count(),
          loaded};
}

at::Tensor encode_latents(const Trainee& trainee, const at::Tensor& pictures,
                          const at::Tensor& noise) {
  const at::NoGradGuard no_grad;
  const auto there = [&](const at::Tensor& x) {
    return x.to(trainee.device, /*non_blocking=*/true);
  };
  const at::Tensor moments = trainee.vae->encode(there(pictures));
  return sample_posterior(moments, there(noise)) * trainee.vae->config.scaling_factor;
}

}  // namespace sdtune
