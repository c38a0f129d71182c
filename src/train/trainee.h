// The models on their device, and all that changes them or is asked of them in a step. Set up once,
// before the first step: precision, device and what is frozen are decided here and nowhere later.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/graphs_by_shape.h"
#include "kernels/side_stream.h"
#include "models/hypernetwork.h"
#include "models/stable_diffusion.h"
#include "optim/ema.h"
#include "optim/fused_backward.h"
#include "optim/grad_scaler.h"
#include "optim/optimizer.h"
#include "text/clip_tokenizer.h"
#include "train/objective.h"
#include "train/precision.h"
#include "train/text_states.h"
#include "train/train_options.h"

namespace sdtune {

struct Trainee {
  std::shared_ptr<const ModelSource> source;
  at::Device device;
  Precision precision;
  UNet2DConditionModel unet;  // weights of precision.weights that require gradients, or
                              // frozen in the compute type beneath a hypernetwork
  std::unique_ptr<Hypernetwork> hypernetwork;  // attached to the U-Net and trained in its place
  std::optional<AutoencoderKL> vae;  // frozen, in its own type; none once all latents are kept
  ClipTextModel text_encoder;        // frozen in the compute type, or trained as the U-Net
  bool trains_text_encoder;
  bool text_encoder_learns;  // it is trained, and not stopped at the step under way
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<FusedBackward> fused;  // with --fused_backward_pass
  std::optional<Ema> ema;                // with --ema
  std::optional<GradScaler> scaler;
  // With --cuda_graphs, of a batch's forward and backward pass; gradients are kept in place then.
  std::unique_ptr<GraphsByShape> graphs;
  SideStream inputs_stream;  // makes what a pass reads
  Objective objective;
  ClipTokenizer tokenizer;
  int64_t clip_skip;
  int max_token_length;
  bool weighted_captions;
  TextStates text_states;
  double reading_s;       // that reading the weights took
  uint64_t loaded_bytes;  // bytes_in_use() as the models had been read, and nothing else was made
  bool is_updating = false;  // weights and states may be half changed
};

// Opens and reads the model. Errors as open_model().
Trainee make_trainee(const TrainOptions& options, at::Device device);

// pictures [B, 3, H, W] in [-1, 1] -> scaled latents [B, 4, H/8, W/8] fp32 on the device: the
// posterior's sample with the given noise, times the VAE's scaling factor.
at::Tensor encode_latents(const Trainee& trainee, const at::Tensor& pictures,
                          const at::Tensor& noise);

}  // namespace sdtune
