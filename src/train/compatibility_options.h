// Options of sd-scripts that change nothing here, so that a command line that has them runs
// unchanged. Their help says what stands in their place, and is what a run prints for each given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "options/option_table.h"

namespace sdtune {

struct CompatibilityOptions {
  static constexpr const char* kAccepted = "Accepted for sd-scripts' command lines";

  bool xformers = false, sdpa = false, mem_eff_attn = false, diffusers_xformers = false;
  bool lowram = false, highvram = false, persistent_data_loader_workers = false;
  std::optional<std::filesystem::path> tokenizer_cache_dir;
  bool torch_compile = false, fp8_base = false;
  std::string dynamo_backend = "inductor";
  std::optional<int64_t> ddp_timeout;
  bool ddp_gradient_as_bucket_view = false, ddp_static_graph = false;
  std::optional<std::string> wandb_run_name, wandb_api_key;
  std::optional<std::string> dataset_class;

  bool deepspeed = false, zero3_init_flag = false, zero3_save_16bit_model = false,
       fp16_master_weights_and_gradients = false;
  int64_t zero_stage = 2;
  std::optional<std::string> offload_optimizer_device, offload_param_device;
  std::optional<std::filesystem::path> offload_optimizer_nvme_path, offload_param_nvme_path;

  template <class V>
  void visit(V& v) {
    v.group(kAccepted);
    visit_attention_and_memory(v);
    visit_machines(v);
    visit_deepspeed(v);
  }

 private:
  template <class V>
  void visit_attention_and_memory(V& v) {
    const char* attention = "Attention saves memory in any case.";
    v("xformers", xformers, attention);
    v("sdpa", sdpa, attention);
    v("mem_eff_attn", mem_eff_attn, attention);
    v("diffusers_xformers", diffusers_xformers, attention);
    v("lowram", lowram, "Weights are never held twice.");
    v("highvram", highvram, "Caches are not emptied between batches.");
    v("persistent_data_loader_workers", persistent_data_loader_workers,
      "Loader threads live as long as the run.");
    v("tokenizer_cache_dir", tokenizer_cache_dir, "The tokenizer is part of the program.");
    v("torch_compile", torch_compile, "Nothing is compiled at run time; kernels are built in.");
    v("dynamo_backend", dynamo_backend, "Nothing is compiled at run time; kernels are built in.",
      Choices{"eager", "aot_eager", "inductor", "aot_ts_nvfuser", "nvprims_nvfuser", "cudagraphs",
              "ofi", "fx2trt", "onnxrt", "tensort", "ipex", "tvm"});
    v("fp8_base", fp8_base, "Weights are not kept in fp8, and were not in fine_tune.py.");
  }

  template <class V>
  void visit_machines(V& v) {
    const char* one_process = "Training runs as one process, which has nothing to exchange.";
    v("ddp_timeout", ddp_timeout, one_process);
    v("ddp_gradient_as_bucket_view", ddp_gradient_as_bucket_view, one_process);
    v("ddp_static_graph", ddp_static_graph, one_process);
    const char* wandb = "Weights & Biases is not supported; --logging_dir writes for TensorBoard.";
    v("wandb_run_name", wandb_run_name, wandb);
    v("wandb_api_key", wandb_api_key, wandb, Unrecorded{});
    v("dataset_class", dataset_class,
      "Refused: a class of Python cannot be loaded; --dataset_config describes datasets.");
  }

  template <class V>
  void visit_deepspeed(V& v) {
    v("deepspeed", deepspeed,
      "DeepSpeed is not used; --gradient_checkpointing and small optimizer states save memory.");
    const char* setting = "A setting of DeepSpeed, which is not used.";
    v("zero_stage", zero_stage, setting, Range{0, 3});
    v("offload_optimizer_device", offload_optimizer_device, setting,
      Choices{"none", "cpu", "nvme"});
    v("offload_optimizer_nvme_path", offload_optimizer_nvme_path, setting);
    v("offload_param_device", offload_param_device, setting, Choices{"none", "cpu", "nvme"});
    v("offload_param_nvme_path", offload_param_nvme_path, setting);
    v("zero3_init_flag", zero3_init_flag, setting);
    v("zero3_save_16bit_model", zero3_save_16bit_model, setting);
    v("fp16_master_weights_and_gradients", fp16_master_weights_and_gradients, setting);
  }
};

// UsageError for those that cannot be passed over.
void validate(const CompatibilityOptions& options);

// One line for each option given that changes nothing: its help.
void explain_accepted(const OptionTable& table);

}  // namespace sdtune
