// The options that say how weights are updated: which optimizer, with which settings and rates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options/option.h"

namespace sdtune {

struct OptimizerOptions {
  std::string optimizer_type;
  bool use_8bit_adam = false;
  bool use_lion_optimizer = false;
  double learning_rate = 2e-6;
  std::optional<double> learning_rate_te;
  std::optional<std::string> block_lr;
  double max_grad_norm = 1;
  std::vector<std::string> optimizer_args;

  // --optimizer_type, or what the flags stand for; AdamW where nothing was said.
  std::string type() const {
    if (use_8bit_adam) return "AdamW8bit";
    if (use_lion_optimizer) return "Lion";
    return optimizer_type.empty() ? "AdamW" : optimizer_type;
  }

  template <class V>
  void visit(V& v) {
    v.group("Optimizer");
    v("optimizer_type", optimizer_type,
      "The optimizer: AdamW (when not given), Adam, SGD, SGDNesterov, Lion, AdaFactor, Prodigy, "
      "DAdaptation, DAdaptAdam, DAdaptAdaGrad, DAdaptAdan, DAdaptAdanIP, DAdaptLion, DAdaptSGD, "
      "AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree, CAME, Adan, RAdam, NAdam, Adamax, "
      "Adagrad, RMSprop or Adadelta; with 8-bit states AdamW8bit, Adam8bit, Lion8bit, SGD8bit, "
      "SGDNesterov8bit or AdEMAMix8bit; with states in host memory PagedAdamW, PagedAdamW32bit, "
      "PagedAdamW8bit, PagedAdam8bit, PagedLion8bit or PagedAdEMAMix8bit. Letters' case does not "
      "matter, nor does a package before the name.");
    v("use_8bit_adam", use_8bit_adam, "Short for --optimizer_type=AdamW8bit.");
    v("use_lion_optimizer", use_lion_optimizer, "Short for --optimizer_type=Lion.");
    v("learning_rate", learning_rate, "Peak learning rate.", Range{0, 1});
    v("learning_rate_te", learning_rate_te,
      "Learning rate of the text encoder, when it is another.", Range{0, 1});
    v("block_lr", block_lr,
      "Learning rates of parts of the U-Net: 25 numbers with commas between (first convolution and "
      "time embedding, input blocks 1 to 11, middle, output blocks 0 to 11 with the head), or "
      "names, as \"down_blocks.0=1e-6,mid_block=0\"; 0 leaves a part as it is.");
    v("max_grad_norm", max_grad_norm, "Scale gradients down to this joint norm; 0 is off.",
      Range{0, 1e9});
    v("optimizer_args", optimizer_args,
      "Further settings of the optimizer, as Python writes values: weight_decay=0.01 "
      "\"betas=(0.9, 0.999)\" amsgrad=True. Names are those of the packages that sd-scripts uses; "
      "bf16 weights are stored by stochastic rounding unless stochastic_rounding=False.");
  }
};

}  // namespace sdtune
