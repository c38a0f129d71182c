// Losses and gradients that are not finite: how many steps in a row, where it began, and when it is
// enough. What is done then is the trainer's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "data/loader.h"
#include "optim/optimizer.h"

namespace sdtune {

struct StepResult;  // training_step.h

// The first parameter that is not finite, else the first such gradient: "weight unet.conv_in.bias",
// "gradient of unet.conv_in.bias"; "" when all are finite. One host sync a tensor: for a step that
// has failed already.
std::string first_bad_tensor(const Optimizer& optimizer);

// The file of the first picture whose pixels or kept latents are not finite, "" when all are.
std::string first_bad_picture(const Dataset& dataset, std::span<const LoadedBatch> batches);

// The item whose latents are the first that are not finite, none when all are. `latents` [B, ...]
// are those of each batch that has pictures. Waits for the device, so for a step that has failed.
std::optional<int64_t> first_bad_latents(std::span<const LoadedBatch> batches,
                                         std::span<const at::Tensor> latents);

// The names of a step's pictures, or of the first of many.
std::string picture_names(const Dataset& dataset, std::span<const LoadedBatch> batches);

// Where a step that is not finite began.
struct BadOrigin {
  std::string what;
  std::string hint;  // "" where only general advice is known
};
BadOrigin origin_of(const StepResult& result, std::span<const LoadedBatch> batches,
                    const Dataset& dataset, at::ScalarType vae_type);

class NanGuard {
 public:
  explicit NanGuard(int64_t max_steps) : max_steps_(max_steps) {}

  // What a step asks for.
  enum class Verdict { kGood, kSkipped, kGoBack, kGiveUp };
  // kGoBack after max_steps bad ones in a row; kGiveUp when as many follow upon that, or when
  // there is no state to go back to.
  Verdict judge(bool finite, bool has_state);

  bool in_trouble() const { return bad_in_a_row_ > 0; }

 private:
  int64_t max_steps_;
  int64_t bad_in_a_row_ = 0;
  bool went_back_ = false;  // and no good step since
};

}  // namespace sdtune
