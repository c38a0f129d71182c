#include "train/training_step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "train/batch_inputs.h"
#include "train/batch_pass.h"
#include "train/nan_guard.h"

namespace sdtune {

namespace {

class Stopwatch {
 public:
  // Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// A hypernetwork's dropout while it lives, from the forward pass to the end of the backward pass,
// which may run blocks again.
class DrawingDropout {
 public:
  DrawingDropout(const Trainee& trainee, const DrawPosition& at)
      : hypernetwork_(trainee.hypernetwork.get()) {
    if (hypernetwork_) hypernetwork_->draws = {at.seed, at.step, at.first_sample};
  }
  ~DrawingDropout() {
    if (hypernetwork_) hypernetwork_->draws.reset();
  }
  DrawingDropout(const DrawingDropout&) = delete;
  DrawingDropout& operator=(const DrawingDropout&) = delete;

 private:
  Hypernetwork* hypernetwork_;
};

// What a step leaves on the device for the host to know.
struct StepValues {
  at::Tensor loss;                            // []
  at::Tensor norm;                            // [], or undefined where it is not known yet
  std::vector<at::Tensor> losses, timesteps;  // of each batch's pictures
  std::vector<at::Tensor> latents;            // read only where the step is not finite
};

// All of it in one copy, the one time that a step waits for its device.
void read(const StepValues& values, StepResult& result) {
  std::vector<at::Tensor> parts = {values.loss.reshape({1})};
  if (values.norm.defined()) parts.push_back(values.norm.reshape({1}));
  parts.insert(parts.end(), values.losses.begin(), values.losses.end());
  parts.insert(parts.end(), values.timesteps.begin(), values.timesteps.end());
  for (at::Tensor& part : parts) part = part.to(values.loss.device(), at::kDouble);
  const at::Tensor all = at::cat(parts).to(at::kCPU);
  const auto* next = all.const_data_ptr<double>();
  result.loss = *next++;
  if (values.norm.defined()) result.grad_norm = *next++;
  result.sample_losses.assign(next, next + result.images);
  next += result.images;
  result.timesteps.assign(next, next + result.images);
}

// The joint norm before clipping.
at::Tensor clip(const Optimizer& optimizer, const std::vector<at::Tensor>& gradients,
                const Clipping& clipping, UpdateMoment& moment) {
  if (!clipping.per_tensor) {
    return clip_gradients_for(optimizer, gradients, clipping.max_norm, moment);
  }
  const at::Tensor norm = clip_gradients(gradients, 0);
  for (const at::Tensor& gradient : gradients) clip_gradients({gradient}, clipping.max_norm);
  return norm;
}

// The updates were made in the backward pass, but for gradients that were not finite.
void finish_fused(const Trainee& trainee, StepResult& result) {
  result.grad_norm = trainee.fused->norm().item<double>();
  const std::string bad = trainee.fused->finish();
  result.updated = result.finite = bad.empty() && std::isfinite(result.loss);
  if (!bad.empty()) result.bad_tensor = "gradient of " + bad;
}

// After the update that was made or left out. `overflowed`: a smaller loss scale may cure it.
void finish_update(Trainee& trainee, bool overflowed, StepResult& result) {
  if (!result.updated &&
      (!overflowed || !std::isfinite(result.loss) || trainee.scaler->current_scale() <= 1)) {
    result.finite = false;
    result.bad_tensor = first_bad_tensor(*trainee.optimizer);
  }
  if (trainee.scaler) trainee.scaler->update();
  trainee.optimizer->zero_grad();
}

// For rules that must be told on the host what to do.
void update_by_host(Trainee& trainee, const StepPlace& place, const Clipping& clipping,
                    StepResult& result) {
  const std::vector<at::Tensor> gradients = trainee.optimizer->gradients();
  const bool overflowed = trainee.scaler && !trainee.scaler->unscale(gradients);
  UpdateMoment moment{place.lr_factor, place.seed, place.step};
  result.grad_norm = clip(*trainee.optimizer, gradients, clipping, moment).item<double>();
  result.updated = !overflowed && std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  if (result.updated) trainee.optimizer->step(moment);
  finish_update(trainee, overflowed, result);
}

// The device finds by itself whether all is finite, and the host hears of it with the losses.
void update_on_device(Trainee& trainee, const StepPlace& place, const Clipping& clipping,
                      StepValues& values, StepResult& result) {
  const std::vector<at::Tensor> gradients = trainee.optimizer->gradients();
  UpdateMoment moment{place.lr_factor, place.seed, place.step};
  if (trainee.scaler) moment.device_scale = trainee.scaler->inverse();
  values.norm = clip(*trainee.optimizer, gradients, clipping, moment);
  if (trainee.scaler) trainee.scaler->note_norm(values.norm);
  // A product with 0 is 0, or NaN where the loss is not finite.
  moment.device_scale = moment.device_scale + 0 * values.loss;
  trainee.optimizer->step(moment);
  read(values, result);
  const bool has_norm = std::isfinite(result.grad_norm);
  result.updated = has_norm && std::isfinite(result.loss);
  if (!result.updated) trainee.optimizer->forget_step();
  finish_update(trainee, trainee.scaler && !has_norm, result);
}

// Reads the values too, before the update or after it.
void update(Trainee& trainee, const StepPlace& place, const Clipping& clipping, StepValues& values,
            StepResult& result) {
  const bool waits =
      trainee.fused || clipping.per_tensor || !trainee.optimizer->takes_device_scale();
  if (!waits) {
    update_on_device(trainee, place, clipping, values, result);
    return;
  }
  read(values, result);
  trainee.fused ? finish_fused(trainee, result) : update_by_host(trainee, place, clipping, result);
}

using Named = std::pair<const char*, at::Tensor>;

// What a batch's pass was given, and others.
void keep(Trace& trace, size_t batch, const BatchInputs& inputs,
          std::initializer_list<Named> others) {
  const auto index = static_cast<int64_t>(batch);
  const PassInputs& pass = inputs.pass;
  trace.keep("latents", index, inputs.latents);
  trace.keep("noise", index, pass.diffused.noise);
  trace.keep("timesteps", index, pass.diffused.timesteps);
  trace.keep("noisy_latents", index, pass.diffused.noisy);
  trace.keep("target", index, pass.diffused.target);
  trace.keep("encoder_hidden_states", index, pass.context);
  if (pass.mask) trace.keep("loss_mask", index, *pass.mask);
  for (const auto& [key, tensor] : others) trace.keep(key, index, tensor);
}

void finish(Trace& trace, const StepResult& result, double rate, int64_t step) {
  const auto keep = [&](const char* key, double value) {
    trace.keep(key, 0, at::scalar_tensor(value, at::kFloat));
  };
  keep("loss", result.loss);
  keep("grad_norm", result.grad_norm);
  keep("lr", rate);
  trace.write(step + 1);
}

}  // namespace

StepResult training_step(Trainee& trainee, std::span<const LoadedBatch> batches,
                         const StepPlace& place, const Clipping& clipping, Trace& trace) {
  StepResult result;
  Stopwatch watch;
  const auto counted =
      std::count_if(batches.begin(), batches.end(), [](const auto& b) { return !b.items.empty(); });
  const auto on_device = at::TensorOptions(at::kFloat).device(trainee.device);
  StepValues values;
  values.loss = at::zeros({}, on_device);
  const at::Tensor sharing = at::full({}, counted, on_device);

  for (size_t i = 0; i < batches.size(); ++i) {
    const LoadedBatch& batch = batches[i];
    if (batch.items.empty()) continue;
    result.images += static_cast<int64_t>(batch.items.size());

    const DrawPosition draws{place.seed, place.step, static_cast<int64_t>(i) * place.batch_size};
    BatchInputs inputs = inputs_of(trainee, batch, draws);
    inputs.pass.batches = sharing;
    result.encode_s += watch.lap();

    if (trainee.fused) {
      trainee.is_updating = true;
      trainee.fused->begin({place.lr_factor, place.seed, place.step});
    }
    const DrawingDropout dropout(trainee, draws);
    const PassResult pass = run_pass(trainee, inputs.pass, trace.active(place.step));
    values.loss += pass.loss;
    values.losses.push_back(pass.losses);
    values.latents.push_back(inputs.latents);
    values.timesteps.push_back(inputs.pass.diffused.timesteps);
    result.unet_s += watch.lap();

    if (trace.active(place.step)) {
      keep(trace, i, inputs,
           {{"input_ids", TextStates::token_ids(trainee, batch.captions)},
            {"model_pred", pass.prediction}});
    }
  }
  if (result.images == 0) return result;

  trainee.is_updating = true;
  update(trainee, place, clipping, values, result);
  trainee.is_updating = false;
  if (!result.finite) result.bad_latents = first_bad_latents(batches, values.latents);
  result.update_s = watch.lap();
  if (trace.active(place.step)) {
    finish(trace, result, trainee.optimizer->rate_in_use(0, place.lr_factor), place.step);
  }
  return result;
}

}  // namespace sdtune
