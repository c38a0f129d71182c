#include "train/objective.h"

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/numbers.h"

namespace sdtune {

namespace {

constexpr uint64_t kMaxWeightsBytes = 1 << 20;

void check(const NoiseOptions& noise, const LossOptions& loss, bool predicts_v) {
  if (noise.adaptive_noise_scale && noise.noise_offset.value_or(0) == 0) {
    throw UsageError("there is no noise offset that could adapt", "--adaptive_noise_scale",
                     "give --noise_offset too");
  }
  if (loss.scale_v_pred_loss_like_noise_pred && !predicts_v) {
    throw UsageError("the model predicts noise, whose loss is scaled so already",
                     "--scale_v_pred_loss_like_noise_pred", "it is for --v_parameterization");
  }
  if (loss.v_pred_like_loss && predicts_v) {
    throw UsageError("the model predicts v already", "--v_pred_like_loss",
                     "it is for models without --v_parameterization");
  }
  if (noise.zero_terminal_snr && !predicts_v) {
    log_warning(
        "--zero_terminal_snr is meant for models that predict v: this one learns nothing at the "
        "last timestep");
  }
  if (loss.masked_loss_normalize && !loss.masked_loss) {
    log_warning("--masked_loss_normalize has no effect without --masked_loss");
  }
}

void check_timesteps(const NoiseOptions& noise, const TimestepSettings& timesteps) {
  if (timesteps.low > timesteps.high || timesteps.low == kTrainTimesteps) {
    throw UsageError(fmt::format("there is no timestep from {} on that lies below {}",
                                 timesteps.low, timesteps.high),
                     "--min_timestep, --max_timestep");
  }
  const bool custom = timesteps.sampling == TimestepSampling::kCustom;
  if (custom && !noise.timestep_weights) {
    throw UsageError("custom timesteps need weights", "--timestep_sampling",
                     "give --timestep_weights");
  }
  if (!custom && noise.timestep_weights) {
    throw UsageError("weights are for custom timesteps", "--timestep_weights",
                     "add --timestep_sampling=custom");
  }
}

// From a file of that name or from the text itself.
std::vector<double> read_weights(const std::string& given) {
  std::error_code ignored;
  const std::string text =
      std::filesystem::is_regular_file(given, ignored) ? read_file(given, kMaxWeightsBytes) : given;
  std::vector<double> weights;
  for (const std::string_view word : list_words(text)) {
    const std::optional<double> weight = number_in<double>(word);
    if (!weight || *weight < 0) {
      throw UsageError(fmt::format("\"{}\" is no weight", word.substr(0, 40)), "--timestep_weights",
                       "give numbers of at least 0 with commas between, or a text file of them");
    }
    weights.push_back(*weight);
  }
  if (weights.empty() || weights.size() > static_cast<size_t>(kTrainTimesteps)) {
    throw UsageError(fmt::format("{} weights are given", weights.size()), "--timestep_weights",
                     "give from 1 to 1000");
  }
  return weights;
}

TimestepSettings timestep_settings(const NoiseOptions& noise) {
  TimestepSettings settings{.low = noise.min_timestep.value_or(0),
                            .high = noise.max_timestep.value_or(kTrainTimesteps),
                            .sampling = noise.timestep_sampling,
                            .logit_mean = noise.logit_mean,
                            .logit_std = noise.logit_std,
                            .sigmoid_scale = noise.sigmoid_scale};
  check_timesteps(noise, settings);
  if (noise.timestep_weights) settings.weights = read_weights(*noise.timestep_weights);
  draw_timesteps({}, 1, settings);  // so that weights that leave nothing are refused now
  return settings;
}

DiffusedBatch with_noise(const Objective& objective, const at::Tensor& latents,
                         const at::Tensor& noise, const at::Tensor& seen,
                         const at::Tensor& timesteps) {
  const at::Tensor target =
      objective.loss.predicts_v ? velocity(objective.schedule, latents, noise, timesteps) : noise;
  return {noise, timesteps, add_noise(objective.schedule, latents, seen, timesteps), target};
}

}  // namespace

Objective make_objective(const NoiseOptions& noise, const LossOptions& loss,
                         PredictionType prediction, at::Device device) {
  const bool predicts_v = prediction == PredictionType::kV;
  check(noise, loss, predicts_v);
  Objective objective;
  const NoiseSchedule schedule = scaled_linear_schedule();
  objective.schedule =
      (noise.zero_terminal_snr ? with_zero_terminal_snr(schedule) : schedule).to(device);
  objective.noise = {
      noise.noise_offset.value_or(0),      noise.noise_offset_random_strength,
      noise.adaptive_noise_scale,          noise.multires_noise_iterations.value_or(0),
      noise.multires_noise_discount,       noise.ip_noise_gamma.value_or(0),
      noise.ip_noise_gamma_random_strength};
  objective.timesteps = timestep_settings(noise);
  objective.loss = {loss.loss_type,
                    loss.huber_schedule,
                    loss.huber_c,
                    loss.huber_scale,
                    loss.min_snr_gamma,
                    loss.scale_v_pred_loss_like_noise_pred,
                    loss.debiased_estimation_loss,
                    loss.v_pred_like_loss,
                    predicts_v};
  objective.masked = loss.masked_loss;
  objective.normalize_mask = loss.masked_loss_normalize;
  return objective;
}

DiffusedBatch diffuse(const Objective& objective, const at::Tensor& latents,
                      const DrawPosition& position) {
  const at::Tensor noise = training_noise(position, objective.noise, latents);
  const at::Tensor seen = perturbed_noise(position, objective.noise, noise);
  const at::Tensor timesteps = draw_timesteps(position, latents.size(0), objective.timesteps);
  return with_noise(objective, latents, noise, seen,
                    timesteps.to(latents.device(), /*non_blocking=*/true));
}

DiffusedBatch diffuse_at(const Objective& objective, const at::Tensor& latents,
                         const DrawPosition& position, const at::Tensor& timesteps) {
  const at::Tensor noise = draw_noise(position, latents.sizes()).to(latents.device());
  return with_noise(objective, latents, noise, noise, timesteps.to(latents.device()));
}

BatchLosses losses_of(const Objective& objective, const at::Tensor& prediction,
                      const DiffusedBatch& batch, const std::optional<at::Tensor>& mask) {
  const at::Tensor losses = sample_losses(
      element_losses(objective.loss, objective.schedule, batch.timesteps, prediction, batch.target),
      mask, objective.normalize_mask);
  return {losses.detach(),
          losses * loss_weights(objective.loss, objective.schedule, batch.timesteps)};
}

}  // namespace sdtune
