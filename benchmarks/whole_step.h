// A whole training step of the U-Net with random weights, as src/train/training_step.cc does it:
// noise, prediction, loss, backward pass, clipping, optimizer. Without pictures, captions and
// files.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>

#include "bench_device.h"
#include "bench_job.h"
#include "diffusion/noise_schedule.h"
#include "kernels/graphs_by_shape.h"
#include "models/unet_2d_condition.h"
#include "operator_profile.h"
#include "optim/fused_backward.h"

namespace sdtune {

struct StepTimes {
  std::array<double, kStepParts> seconds = {};  // by StepPart
  double loss = 0;
  double grad_norm = 0;
};

class WholeStep {
 public:
  WholeStep(const BenchJob& job, c10::Device device);

  // Parts are told to `profile`, which may be null. With a fused backward pass clipping and
  // optimizer are parts of it.
  StepTimes run(OperatorProfile* profile);

 private:
  using Tensors = GraphsByShape::Tensors;
  // What a step reads: noisy latents, timesteps, noise.
  Tensors draw() const;
  at::Tensor forward(const Tensors& drawn) const;
  // Both passes; the loss.
  at::Tensor repeat_passes(const Tensors& drawn);

  c10::Device device_;
  UNet2DConditionModel unet_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<FusedBackward> fused_;
  std::unique_ptr<GraphsByShape> graphs_;
  NoiseSchedule schedule_;
  at::Tensor latents_;
  at::Tensor context_;
  int64_t steps_done_ = 0;
};

}  // namespace sdtune
