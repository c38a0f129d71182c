// A struct with an option of every kind, for the tests of this folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "options/config_file.h"
#include "options/option.h"

namespace sdtune {

enum class Colour { kRed, kGreen };

inline const EnumNames<Colour> kColourNames{{"red", Colour::kRed}, {"green", Colour::kGreen}};

struct TestOptions {
  bool v2 = false;
  bool persistent = true;
  int workers = 8;
  int64_t max_train_steps = 1600;
  double learning_rate = 2e-6;
  std::string caption_separator = ",";
  std::string mixed_precision = "no";
  std::filesystem::path output_dir;
  std::optional<int64_t> seed;
  std::optional<int64_t> max_token_length;
  std::optional<double> noise_offset;
  std::optional<std::string> output_name;
  std::optional<std::filesystem::path> vae;
  std::vector<std::string> optimizer_args;
  Colour colour = Colour::kRed;
  std::optional<Colour> other_colour;
  std::optional<Size2> resolution;
  StepsOrRatio lr_warmup_steps;
  std::string api_key;
  ConfigFileOptions files;

  template <class V>
  void visit(V& v) {
    v.group("Model");
    v("v2", v2, "The model is SD2.");
    v("persistent", persistent, "Keep the workers.");
    v("vae", vae, "Another VAE.");
    v.group("Training");
    v("workers", workers, "Threads that load.", Range{0, kUnlimited});
    v("max_train_steps", max_train_steps, "Steps.", Range{1, 1e9}, Aliases{"steps"});
    v("learning_rate", learning_rate, "Peak learning rate.", Range{0, 1});
    v("mixed_precision", mixed_precision, "Arithmetic.", Choices{"no", "fp16", "bf16"});
    v("optimizer_args", optimizer_args, "Words key=value.");
    v("lr_warmup_steps", lr_warmup_steps, "Warm-up.");
    v("seed", seed, "Seed.");
    v("noise_offset", noise_offset, "Offset.");
    v.group("Data");
    v("max_token_length", max_token_length, "Tokens.", Choices{"150", "225"});
    v("resolution", resolution, "Size.", Range{64, 4096});
    v("caption_separator", caption_separator, "Between tags | captions.");
    v("output_dir", output_dir, "Folder.");
    v("output_name", output_name, "Name.");
    v("colour", colour, "Colour.", kColourNames);
    v("other_colour", other_colour, "Another.", kColourNames);
    v("api_key", api_key, "Secret.", Unrecorded{});
    files.visit(v);
  }
};

}  // namespace sdtune
