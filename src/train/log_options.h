// Where a run's messages and measurements go. What is written without being asked for, the run
// folder, is train/run_folder.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "options/option.h"

namespace sdtune {

struct LogOutputOptions {
  std::string console_log_level = "INFO";
  std::optional<std::filesystem::path> console_log_file;
  bool console_log_simple = false;
  std::optional<std::filesystem::path> logging_dir;
  std::optional<std::string> log_with;
  std::optional<std::string> log_prefix;
  std::string log_tracker_name = "finetuning";
  std::optional<std::filesystem::path> log_tracker_config;
  bool log_config = false;
  std::optional<std::filesystem::path> trace_dir;
  int64_t trace_steps = 10;

  template <class V>
  void visit(V& v) {
    v.group("Messages and records");
    v("console_log_level", console_log_level, "Least level of messages shown.",
      Choices{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"});
    v("console_log_file", console_log_file, "Write messages to this file instead of the terminal.");
    v("console_log_simple", console_log_simple, "Accepted: messages are plain already.");
    v("logging_dir", logging_dir,
      "Write TensorBoard's event files below this folder, into one for each start of a run.");
    v("log_with", log_with,
      "Who reads the logs. TensorBoard's files are written in any case with --logging_dir; "
      "Weights & Biases is not supported.",
      Choices{"tensorboard", "wandb", "all"});
    v("log_prefix", log_prefix, "What the name of the run's folder in --logging_dir begins with.");
    v("log_tracker_name", log_tracker_name, "Name of the folder that holds the event files.");
    v("log_tracker_config", log_tracker_config,
      "TOML file of settings for trackers; of them filename_suffix of [tensorboard] is heeded.");
    v("log_config", log_config,
      "Write the options into the log too, without secrets, files and folders.");
    v("trace_dir", trace_dir,
      "Write latents, noise, timesteps, text states and results of the first steps here, to be "
      "compared in Python.");
    v("trace_steps", trace_steps, "How many steps --trace_dir covers.", Range{1, 1e6});
  }
};

}  // namespace sdtune
