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
#include "train/compatibility_options.h"
#include "train/data_options.h"
#include "train/ema_options.h"
#include "train/hub_options.h"
#include "train/hypernetwork_options.h"
#include "train/log_options.h"
#include "train/loss_options.h"
#include "train/noise_options.h"
#include "train/optimizer_options.h"
#include "train/precision_options.h"
#include "train/preview_options.h"
#include "train/run_control_options.h"
#include "train/save_options.h"
#include "train/schedule_options.h"
#include "train/validation_options.h"

namespace sdtune {

struct ModelOptions {
  std::filesystem::path pretrained_model_name_or_path;
  bool v2 = false;
  bool v_parameterization = false;
  std::optional<std::filesystem::path> vae;
  // Where they lie on this machine, when an id of the Hugging Face Hub names them; no options.
  std::filesystem::path found_model, found_vae;

  std::filesystem::path model_path() const {
    return found_model.empty() ? pretrained_model_name_or_path : found_model;
  }
  // "" for the model's own.
  std::filesystem::path vae_path() const {
    return found_vae.empty() ? vae.value_or(std::filesystem::path()) : found_vae;
  }

  template <class V>
  void visit(V& v) {
    v.group("Model");
    v("pretrained_model_name_or_path", pretrained_model_name_or_path,
      "The model to start from: a .safetensors or .ckpt file, a Diffusers folder, or the id of one "
      "on "
      "the Hugging Face Hub (org/name, org/name/file.safetensors, org/name@revision).",
      Required{});
    v("v2", v2, "The model is a Stable Diffusion 2.x one.");
    v("v_parameterization", v_parameterization,
      "The model predicts v, as Stable Diffusion 2.x 768-v does.");
    v("vae", vae, "Another VAE than the model's: a file, a folder or an id.");
  }
};

struct RunOptions {
  std::filesystem::path output_dir;
  std::optional<std::string> output_name;
  int64_t max_train_steps = 1600;
  std::optional<int64_t> max_train_epochs;
  int64_t gradient_accumulation_steps = 1;
  bool gradient_checkpointing = false;
  bool train_text_encoder = false;
  std::optional<int64_t> stop_text_encoder_training;
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
    v("train_text_encoder", train_text_encoder, "Train the text encoder too.");
    v("stop_text_encoder_training", stop_text_encoder_training,
      "Leave the text encoder as it is from this step on.", Range{0, 1e12});
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

struct TrainOptions {
  ModelOptions model;
  DataOptions dataset;
  RunOptions run;
  HypernetworkOptions hypernetwork;
  PrecisionOptions precision;
  OptimizerOptions optimizer;
  EmaOptions ema;
  ScheduleOptions schedule;
  NoiseOptions noise;
  LossOptions loss;
  ValidationOptions validation;
  PreviewOptions preview;
  SaveOptions save;
  RunControlOptions control;
  ModelspecOptions modelspec;
  LogOutputOptions log;
  HubOptions hub;
  CompatibilityOptions compatibility;
  ConfigFileOptions config;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    dataset.visit(v);
    run.visit(v);
    hypernetwork.visit(v);
    precision.visit(v);
    optimizer.visit(v);
    ema.visit(v);
    schedule.visit(v);
    noise.visit(v);
    loss.visit(v);
    validation.visit(v);
    preview.visit(v);
    save.visit(v);
    control.visit(v);
    modelspec.visit(v);
    log.visit(v);
    hub.visit(v);
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
