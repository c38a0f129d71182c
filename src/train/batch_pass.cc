#include "train/batch_pass.h"

namespace sdtune {

namespace {

PassResult compute(Trainee& trainee, const PassInputs& inputs) {
  const DiffusedBatch& diffused = inputs.diffused;
  const at::Tensor prediction =
      trainee.unet.forward(diffused.noisy, diffused.timesteps, inputs.context);
  const BatchLosses losses = losses_of(trainee.objective, prediction, diffused, inputs.mask);
  const at::Tensor loss = (losses.weighted * inputs.picture_weights).mean() / inputs.batches;
  (trainee.scaler ? trainee.scaler->scale(loss) : loss).backward();
  return {loss.detach(), losses.plain, prediction.detach()};
}

// As a graph finds them: all that changes from pass to pass and is read on the device.
GraphsByShape::Tensors as_list(const PassInputs& inputs) {
  return {inputs.diffused.noisy,
          inputs.diffused.timesteps,
          inputs.diffused.target,
          inputs.context,
          inputs.picture_weights,
          inputs.batches,
          inputs.mask.value_or(at::Tensor())};
}

PassInputs from_list(const GraphsByShape::Tensors& list) {
  const std::optional<at::Tensor> mask = list[6].defined() ? std::optional(list[6]) : std::nullopt;
  return {{.noise = {}, .timesteps = list[1], .noisy = list[0], .target = list[2]},
          list[3],
          list[4],
          list[5],
          mask};
}

}  // namespace

PassResult run_pass(Trainee& trainee, const PassInputs& inputs, bool wants_prediction) {
  if (!trainee.graphs || wants_prediction) return compute(trainee, inputs);
  const auto work = [&trainee](const GraphsByShape::Tensors& list) -> GraphsByShape::Tensors {
    const PassResult result = compute(trainee, from_list(list));
    return {result.loss, result.losses};
  };
  const GraphsByShape::Tensors results = trainee.graphs->run(as_list(inputs), work);
  return {results[0], results[1], {}};
}

}  // namespace sdtune
