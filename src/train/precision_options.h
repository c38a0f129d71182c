// Options about the types that a run computes and keeps things in, and about what it holds at once.
#pragma once

#include "options/option.h"

namespace sdtune {

enum class MixedPrecision { kNo, kFp16, kBf16 };

inline EnumNames<MixedPrecision> mixed_precision_names() {
  return {{"no", MixedPrecision::kNo},
          {"fp16", MixedPrecision::kFp16},
          {"bf16", MixedPrecision::kBf16}};
}

struct PrecisionOptions {
  MixedPrecision mixed_precision = MixedPrecision::kNo;
  bool full_fp16 = false;
  bool full_bf16 = false;
  bool no_half_vae = false;
  bool fused_backward_pass = false;
  bool clip_per_tensor = false;
  bool offload_optimizer = false;
  bool cuda_graphs = false;

  template <class V>
  void visit(V& v) {
    v.group("Precision and memory");
    v("mixed_precision", mixed_precision,
      "Type of the arithmetic; weights and optimizer stay fp32, unless one of the next two says "
      "otherwise.",
      mixed_precision_names());
    v("full_fp16", full_fp16,
      "Keep trained weights and gradients in fp16, with the loss scaled; needs "
      "--mixed_precision=fp16. Least memory on older GPUs, and the least exact.");
    v("full_bf16", full_bf16,
      "Keep trained weights and gradients in bf16, updated with stochastic rounding so that small "
      "updates count; needs --mixed_precision=bf16. Half the memory of fp32 weights.");
    v("no_half_vae", no_half_vae, "The VAE computes in fp32, whatever the rest does.");
    v("fused_backward_pass", fused_backward_pass,
      "Update each tensor as soon as its gradient is there, which is then freed: gradients take no "
      "memory. Not with accumulation, fp16 scaling or --max_grad_norm, but with "
      "--clip_per_tensor.");
    v("clip_per_tensor", clip_per_tensor,
      "--max_grad_norm bounds each tensor's gradient by itself instead of all together.");
    v("offload_optimizer", offload_optimizer,
      "The optimizer's state lives in host memory and visits the GPU tensor by tensor; on a CPU it "
      "is there already.");
    v("cuda_graphs", cuda_graphs,
      "Record the forward and backward pass once for each shape of batch and repeat it as a CUDA "
      "graph, which spares the host the launch of every kernel and takes memory for a whole pass "
      "for good. It has not run on a GPU yet, and is off for that reason. No effect on a CPU, with "
      "--train_text_encoder, --fused_backward_pass or a hypernetwork's dropout.");
  }
};

}  // namespace sdtune
