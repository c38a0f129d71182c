#include "train/output_names.h"

#include <fmt/format.h>

namespace sdtune {

namespace {

std::string model_stem(const TrainOptions& options, SaveMoment moment) {
  const std::optional<std::string>& name = options.run.output_name;
  switch (moment.kind) {
    case SaveMoment::Kind::kEpoch:
      return fmt::format("{}-{:06}", name.value_or("epoch"), moment.number);
    case SaveMoment::Kind::kStep:
      return fmt::format("{}-step{:08}", name.value_or("at"), moment.number);
    case SaveMoment::Kind::kEnd:
      break;
  }
  return name.value_or("last");
}

}  // namespace

std::string output_stem(const TrainOptions& options, SaveMoment moment) {
  return model_stem(options, moment) + (moment.ema ? "-ema" : "");
}

std::filesystem::path state_folder(const TrainOptions& options, SaveMoment moment) {
  return options.run.output_dir / (output_stem(options, moment) + "-state");
}

SaveFormat save_format(const SaveOptions& options, SaveFormat source) {
  if (!options.save_model_as) {
    if (!options.use_safetensors) return source;
    if (source == SaveFormat::kCkpt) return SaveFormat::kSafetensors;
    return source == SaveFormat::kDiffusers ? SaveFormat::kDiffusersSafetensors : source;
  }
  if (*options.save_model_as == "safetensors") return SaveFormat::kSafetensors;
  if (*options.save_model_as == "diffusers_safetensors") return SaveFormat::kDiffusersSafetensors;
  if (*options.save_model_as == "ckpt") return SaveFormat::kCkpt;
  return options.use_safetensors ? SaveFormat::kDiffusersSafetensors : SaveFormat::kDiffusers;
}

std::filesystem::path model_path(const TrainOptions& options, SaveFormat format,
                                 SaveMoment moment) {
  const char* extension = "";
  if (format == SaveFormat::kSafetensors) extension = ".safetensors";
  if (format == SaveFormat::kCkpt) extension = ".ckpt";
  return options.run.output_dir / (output_stem(options, moment) + extension);
}

}  // namespace sdtune
