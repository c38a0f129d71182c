// Every option of `sdtune train`, declared once, with sd-scripts' names. What they mean together is
// checked in validate(); where their values come from is the business of options/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "options/config_file.h"
#include "options/option.h"
#include "train/data_options.h"
#include "train/optimizer_options.h"

namespace sdtune {

enum class MixedPrecision { kNo, kFp16, kBf16 };

inline EnumNames<MixedPrecision> mixed_precision_names() {
  return {{"no", MixedPrecision::kNo},
          {"fp16", MixedPrecision::kFp16},
          {"bf16", MixedPrecision::kBf16}};
}

struct ModelOptions {
  std::filesystem::path pretrained_model_name_or_path;
  bool v2 = false;
  bool v_parameterization = false;
  std::optional<std::filesystem::path> vae;

  template <class V>
  void visit(V& v) {
    v.group("Model");
    v("pretrained_model_name_or_path", pretrained_model_name_or_path,
      "The model to start from: a .safetensors or .ckpt file, or a Diffusers folder.", Required{});
    v("v2", v2, "The model is a Stable Diffusion 2.x one.");
    v("v_parameterization", v_parameterization,
      "The model predicts v, as Stable Diffusion 2.x 768-v does.");
    v("vae", vae, "Another VAE than the model's: a file or a folder.");
  }
};

struct RunOptions {
  std::filesystem::path output_dir;
  std::optional<std::string> output_name;
  int64_t max_train_steps = 1600;
  std::optional<int64_t> max_train_epochs;
  int64_t gradient_accumulation_steps = 1;
  bool gradient_checkpointing = false;
  MixedPrecision mixed_precision = MixedPrecision::kNo;
  bool train_text_encoder = false;
  int64_t clip_skip = 0;
  std::optional<int64_t> seed;
  std::string device = "auto";
  std::optional<int64_t> num_cpu_threads_per_process;

  template <class V>
  void visit(V& v) {
    v.group("Training");
    v("output_dir", output_dir, "Folder for models, states and the record of the run.", Required{});
    v("output_name", output_name, "Base name of what is written.");
    v("max_train_steps", max_train_steps, "Optimizer steps in all, those before a resume included.",
      Range{1, 1e12});
    v("max_train_epochs", max_train_epochs, "Epochs in all; overrides --max_train_steps.",
      Range{1, 1e9});
    v("gradient_accumulation_steps", gradient_accumulation_steps,
      "Batches for each optimizer step.", Range{1, 65536});
    v("gradient_checkpointing", gradient_checkpointing,
      "Keep only the inputs of blocks and compute them again in the backward pass: less memory, "
      "more time.");
    v("mixed_precision", mixed_precision,
      "Type of the arithmetic; weights and optimizer stay fp32.", mixed_precision_names());
    v("train_text_encoder", train_text_encoder, "Train the text encoder too.");
    v("clip_skip", clip_skip,
      "Take the text encoder's state this many layers from its end; 0 or 1 is the last.",
      Range{0, 100});
    v("seed", seed, "Seed of every random draw; drawn and recorded when not given.",
      Range{0, 9.2e18});
    v("device", device, "Where to compute.", Choices{"auto", "cpu", "cuda"});
    v("num_cpu_threads_per_process", num_cpu_threads_per_process,
      "Threads for arithmetic on the CPU; all cores when not given.", Range{1, 1024});
  }
};

struct SaveOptions {
  std::optional<std::string> save_model_as;
  bool use_safetensors = false;
  std::optional<std::string> save_precision;
  std::optional<int64_t> save_every_n_epochs;
  std::optional<int64_t> save_every_n_steps;
  bool save_state = false;
  bool save_state_on_train_end = false;
  std::optional<std::string> resume;

  template <class V>
  void visit(V& v) {
    v.group("Saving");
    v("save_model_as", save_model_as,
      "Form of the models written; the source's own when not given.",
      Choices{"ckpt", "safetensors", "diffusers", "diffusers_safetensors"});
    v("use_safetensors", use_safetensors,
      "Write safetensors where --save_model_as leaves it open.");
    v("save_precision", save_precision,
      "Type of the weights written; as they were trained when not given.",
      Choices{"float", "fp16", "bf16"});
    v("save_every_n_epochs", save_every_n_epochs, "Write the model each n epochs.", Range{1, 1e9});
    v("save_every_n_steps", save_every_n_steps, "Write the model each n steps.", Range{1, 1e12});
    v("save_state", save_state, "With each model write what --resume needs to go on exactly.");
    v("save_state_on_train_end", save_state_on_train_end, "Write the state at the end of the run.");
    v("resume", resume,
      "A state folder to go on from; \"auto\" takes the newest whole one of --output_dir, or "
      "starts anew.");
  }
};

struct ModelspecOptions {
  std::optional<std::string> title, author, description, license, tags, usage_hint, merged_from,
      trigger_phrase, preprocessor, is_negative_embedding;
  std::optional<std::filesystem::path> thumbnail;

  template <class V>
  void visit(V& v) {
    v.group("Description of the model (modelspec)");
    v("metadata_title", title, "Title; the output name when not given.");
    v("metadata_author", author, "Author.");
    v("metadata_description", description, "Description.");
    v("metadata_license", license, "License.");
    v("metadata_tags", tags, "Tags, with commas between.");
    v("metadata_usage_hint", usage_hint, "How to use it.");
    v("metadata_thumbnail", thumbnail, "Picture file, kept in the model as a data URL.");
    v("metadata_merged_from", merged_from, "What it was merged from.");
    v("metadata_trigger_phrase", trigger_phrase, "Words that call up what it learned.");
    v("metadata_preprocessor", preprocessor, "Preprocessor it needs.");
    v("metadata_is_negative_embedding", is_negative_embedding, "Kept as given.");
  }
};

struct LogOutputOptions {
  std::string console_log_level = "INFO";
  std::optional<std::filesystem::path> console_log_file;
  bool console_log_simple = false;
  std::optional<std::filesystem::path> trace_dir;
  int64_t trace_steps = 10;

  template <class V>
  void visit(V& v) {
    v.group("Messages and records");
    v("console_log_level", console_log_level, "Least level of messages shown.",
      Choices{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"});
    v("console_log_file", console_log_file, "Write messages to this file instead of the terminal.");
    v("console_log_simple", console_log_simple, "Accepted: messages are plain already.");
    v("trace_dir", trace_dir,
      "Write every tensor of the first steps here, to be compared in Python.");
    v("trace_steps", trace_steps, "How many steps --trace_dir covers.", Range{1, 1e6});
  }
};

// Switches of sd-scripts that ask for what is always so here; a command line that has them runs
// unchanged.
struct CompatibilityOptions {
  bool xformers = false, sdpa = false, mem_eff_attn = false, lowram = false, highvram = false,
       persistent_data_loader_workers = false;
  std::optional<std::string> tokenizer_cache_dir;

  template <class V>
  void visit(V& v) {
    v.group("Accepted for sd-scripts' command lines; always so here");
    v("xformers", xformers, "Attention saves memory in any case.");
    v("sdpa", sdpa, "Attention saves memory in any case.");
    v("mem_eff_attn", mem_eff_attn, "Attention saves memory in any case.");
    v("lowram", lowram, "Weights are never held twice.");
    v("highvram", highvram, "Caches are not emptied between batches.");
    v("persistent_data_loader_workers", persistent_data_loader_workers,
      "Loader threads live as long as the run.");
    v("tokenizer_cache_dir", tokenizer_cache_dir, "The tokenizer is part of the program.");
  }
};

struct TrainOptions {
  ModelOptions model;
  DataOptions dataset;
  RunOptions run;
  OptimizerOptions optimizer;
  SaveOptions save;
  ModelspecOptions modelspec;
  LogOutputOptions log;
  CompatibilityOptions compatibility;
  ConfigFileOptions config;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    dataset.visit(v);
    run.visit(v);
    optimizer.visit(v);
    save.visit(v);
    modelspec.visit(v);
    log.visit(v);
    compatibility.visit(v);
    v.group("Configuration");
    config.visit(v);
  }
};

// Checks across options: UsageError for what cannot be meant, a logged warning for what is odd.
void validate(const TrainOptions& options);

// The base name of what a run writes at its end: --output_name, or "last".
std::string base_name(const TrainOptions& options);

}  // namespace sdtune
