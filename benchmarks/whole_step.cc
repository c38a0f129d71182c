#include "whole_step.h"

#include <ATen/ATen.h>

#include "diffusion/loss.h"
#include "diffusion/noise.h"
#include "diffusion/timesteps.h"
#include "models/random_init.h"
#include "optim/make_optimizer.h"

namespace sdtune {

namespace {

constexpr double kMaxNorm = 1;
constexpr double kLearningRate = 5e-6;
constexpr uint64_t kSeed = 0;

UNetConfig unet_config(const BenchJob& job) {
  UNetConfig config;
  if (job.tiny) {
    config.block_out_channels = {32, 64, 64, 64};
    config.layers_per_block = 1;
    config.num_heads = {4, 4, 4, 4};
    config.cross_attention_dim = 32;
  }
  if (job.sd2) {
    config.num_heads =
        job.tiny ? std::vector<int64_t>{1, 2, 2, 2} : std::vector<int64_t>{5, 10, 20, 20};
    config.cross_attention_dim = job.tiny ? 64 : 1024;
    config.use_linear_projection = true;
  }
  return config;
}

UNet2DConditionModel make_unet(const BenchJob& job, c10::Device device) {
  UNet2DConditionModel unet(unet_config(job));
  initialise(unet, kSeed);
  visit_parameters(unet, [&](const std::string&, at::Tensor& parameter) {
    parameter = parameter.to(device, job.weight_type());
  });
  if (wants_channels_last(job.compute_type(), device)) use_channels_last(unet);
  visit_parameters(unet, [](const std::string&, at::Tensor& p) { p.requires_grad_(true); });
  unet.compute_dtype = job.compute_type();
  unet.gradient_checkpointing = job.checkpointing;
  return unet;
}

std::unique_ptr<Optimizer> make_step_optimizer(const BenchJob& job, UNet2DConditionModel& unet) {
  ParameterGroup group{.learning_rate = kLearningRate};
  for (auto& [name, tensor] : named_parameters(unet)) {
    group.parameters.push_back({"unet." + name, tensor});
  }
  auto optimizer = make_optimizer(job.optimizer, {std::move(group)}, {});
  if (job.cuda_graphs) optimizer->keep_gradients();
  return optimizer;
}

std::unique_ptr<GraphsByShape> make_graphs(const BenchJob& job, c10::Device device) {
  if (!job.cuda_graphs) return nullptr;
  return std::make_unique<GraphsByShape>(device, [device] { return make_cuda_graph(device); });
}

}  // namespace

WholeStep::WholeStep(const BenchJob& job, c10::Device device)
    : device_(device),
      unet_(make_unet(job, device)),
      optimizer_(make_step_optimizer(job, unet_)),
      fused_(job.fused_backward ? std::make_unique<FusedBackward>(*optimizer_, kMaxNorm) : nullptr),
      graphs_(make_graphs(job, device)),
      schedule_(scaled_linear_schedule().to(device)),
      latents_(draw_noise({kSeed, -1}, {job.batch, 4, job.height / 8, job.width / 8}).to(device)),
      context_(draw_noise({kSeed, -2}, {job.batch, job.tokens, unet_.config.cross_attention_dim})
                   .to(device)) {}

WholeStep::Tensors WholeStep::draw() const {
  const DrawPosition draws{kSeed, steps_done_};
  const at::Tensor noise = training_noise(draws, {}, latents_);
  const at::Tensor timesteps = draw_timesteps(draws, latents_.size(0), {}).to(device_);
  return {add_noise(schedule_, latents_, noise, timesteps), timesteps, noise};
}

at::Tensor WholeStep::forward(const Tensors& drawn) const {
  const at::Tensor &noisy = drawn[0], &timesteps = drawn[1], &noise = drawn[2];
  const at::Tensor prediction = unet_.forward(noisy, timesteps, context_);
  const LossSettings settings;
  const at::Tensor losses = sample_losses(
      element_losses(settings, schedule_, timesteps, prediction, noise), std::nullopt, false);
  return (losses * loss_weights(settings, schedule_, timesteps)).mean();
}

at::Tensor WholeStep::repeat_passes(const Tensors& drawn) {
  const auto passes = [this](const Tensors& inputs) -> Tensors {
    const at::Tensor loss = forward(inputs);
    loss.backward();
    return {loss.detach()};
  };
  return graphs_->run(drawn, passes)[0];
}

StepTimes WholeStep::run(OperatorProfile* profile) {
  UpdateMoment moment{.seed = kSeed, .step = steps_done_};
  StepTimes times;
  LapClock clock(device_);
  clock.lap();
  const auto part = [&](StepPart which, const auto& work) {
    if (profile != nullptr) profile->enter(which);
    work();
    times.seconds[static_cast<size_t>(which)] = clock.lap();
    if (profile != nullptr) profile->leave();
  };

  at::Tensor loss;
  Tensors drawn;
  part(StepPart::kForward, [&] {
    drawn = draw();
    if (!graphs_) loss = forward(drawn);
  });
  part(StepPart::kBackward, [&] {
    if (fused_) fused_->begin(moment);
    graphs_ ? void(loss = repeat_passes(drawn)) : loss.backward();
  });
  times.loss = loss.item<double>();
  part(StepPart::kClip, [&] {
    const at::Tensor norm =
        fused_ ? fused_->norm()
               : clip_gradients_for(*optimizer_, optimizer_->gradients(), kMaxNorm, moment);
    times.grad_norm = norm.item<double>();
  });
  part(StepPart::kOptimizer, [&] {
    if (fused_) return;
    optimizer_->step(moment);
    optimizer_->zero_grad();
  });
  ++steps_done_;
  return times;
}

}  // namespace sdtune
