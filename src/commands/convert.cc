#include "commands/convert.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "commands/model_ids.h"
#include "generate/prompt_states.h"
#include "models/modelspec.h"
#include "models/stable_diffusion.h"
#include "options/command_line.h"
#include "text/tokenizer_files.h"
#include "train/save_model.h"

namespace sdtune {

namespace {

// --fp16 and its like are short for --save_precision_as.
SavePrecision precision_of(const ConvertOptions& options) {
  const int flags = options.to_fp16 + options.to_bf16 + options.to_float;
  if (flags + (options.save_precision_as ? 1 : 0) > 1) {
    throw UsageError("more than one type is asked for", "--fp16, --bf16, --float",
                     "give one of them, or --save_precision_as");
  }
  if (options.to_fp16) return save_precision("fp16");
  if (options.to_bf16) return save_precision("bf16");
  return save_precision(options.to_float ? std::optional<std::string>("float")
                                         : options.save_precision_as);
}

// The model tells by itself what no flag says.
std::optional<bool> if_given(bool flag) { return flag ? std::optional(true) : std::nullopt; }

SaveFormat format_of(const fs::path& path) {
  if (path.extension() == ".safetensors") return SaveFormat::kSafetensors;
  return path.extension() == ".ckpt" ? SaveFormat::kCkpt : SaveFormat::kDiffusersSafetensors;
}

void add_given_metadata(std::map<std::string, std::string>& metadata, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const bool fits = json.is_object() && std::all_of(json.begin(), json.end(),
                                                    [](const auto& v) { return v.is_string(); });
  if (!fits) {
    throw UsageError("this is no JSON object of texts", "--metadata",
                     "write it as in --metadata='{\"author\": \"me\"}'");
  }
  for (const auto& [key, value] : json.items()) metadata[key] = value.get<std::string>();
}

// Hashes are of the bytes that are read, not of those that are written. sd-scripts' "ss_" entries
// tell of the training, also by the hashes of what it began with.
bool is_stale(const std::string& key) {
  return key.find("hash") != std::string::npos && !key.starts_with("ss_");
}

// The source's own entries win over what is known of the model without them.
std::map<std::string, std::string> metadata_of(const ModelSource& source,
                                               const ConvertOptions& options) {
  ModelspecFields fields;
  fields.family = source.family;
  fields.prediction = source.prediction;
  fields.title = options.model_to_save.stem().string();
  fields.version = SDTUNE_VERSION;
  std::map<std::string, std::string> metadata = modelspec_metadata(fields);
  if (source.single_file && !source.single_file->is_torch_checkpoint()) {
    for (const auto& [key, value] : source.single_file->metadata()) {
      if (!is_stale(key)) metadata[key] = value;
    }
  }
  if (options.metadata) add_given_metadata(metadata, *options.metadata);
  return metadata;
}

}  // namespace

int run_convert(std::span<const std::string> args) {
  ConvertOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;

  SaveRequest request;
  request.precision = precision_of(options);
  const auto source =
      open_model({local_model(options.model_to_load, ModelUse::kWhole), if_given(options.v2),
                  if_given(options.v_parameterization),
                  options.vae ? local_model(*options.vae, ModelUse::kVae) : fs::path()});
  if (options.v1 && source->family != ModelFamily::kV1) {
    throw UsageError("the model is a Stable Diffusion 2.x", "--v1", "leave --v1 out");
  }
  const fs::path& target = options.model_to_save;
  request.path = target.has_filename() ? target : target.parent_path();  // of a folder, as "x/"
  request.format = format_of(options.model_to_save);
  request.epoch = options.epoch;
  request.global_step = options.global_step;
  request.metadata = metadata_of(*source, options);
  request.extra_files = tokenizer_files(text_family(source->family));
  const fs::path folder = fs::absolute(request.path).parent_path();
  make_writable_folder(folder);
  remove_stale_temporaries(folder);
  save_stable_diffusion(*source, {}, request);
  log_info("wrote {}", options.model_to_save.string());
  return 0;
}

}  // namespace sdtune
