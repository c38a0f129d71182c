#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "formats/open_weights.h"
#include "models/component_files.h"
#include "models/config_json.h"
#include "models/stable_diffusion.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;
constexpr int64_t kLatentChannels = 4;

fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

bool is_folder(const fs::path& path) {
  if (fs::is_directory(path)) return true;
  if (fs::is_regular_file(path)) return false;
  throw Error(
      "there is no file or folder of this name", path.string(),
      "Give a model file (.safetensors, .ckpt), a Diffusers folder, or the id of a model on the "
      "Hugging Face Hub (org/name).");
}

// --- Single files

ModelPart bind_text_encoder(const ModelSource& source) {
  const std::string prefix{source.family == ModelFamily::kV1 ? kClipPrefix : kOpenClipPrefix};
  return bind_weights({source.single_file, text_weight_names(source.text_config, source.family),
                       true, prefix, prefix});
}

ModelPart bind_unet(const ModelSource& source) {
  const std::string prefix{kUNetPrefix};
  return bind_weights(
      {source.single_file, unet_weight_names(source.unet_config), true, prefix, prefix});
}

// A VAE in a whole model's file, or in a file of its own.
void open_vae_in_file(ModelSource& source, std::shared_ptr<const WeightFile> file) {
  const auto naming = find_vae(*file);
  if (!naming) {
    throw Error("the file holds no VAE", file->path().string(),
                "Give one with --vae, or a whole Stable Diffusion model.");
  }
  source.vae_config = infer_vae_config(*file, *naming);
  source.vae = bind_weights({std::move(file), vae_weight_names(source.vae_config), naming->ldm,
                             std::string(kVaePrefix), naming->prefix});
  // Diffusers' names in a single file may stand among others.
  source.vae.own_file = false;
}

std::optional<PredictionType> stated_prediction(const WeightFile& file) {
  const auto found = file.metadata().find("modelspec.prediction_type");
  return found == file.metadata().end() ? std::nullopt : parse_prediction_type(found->second);
}

void open_single_file(ModelSource& source, const ModelRequest& request) {
  source.single_file = open_weights(source.path);
  const WeightFile& file = *source.single_file;
  const std::string place = source.path.string();
  source.family = family_of_single_file(file);
  check_v2_flag(place, source.family, request.v2);
  source.prediction =
      check_v_parameterization_flag(place, stated_prediction(file), request.v_parameterization);
  source.unet_config = infer_unet_config(file, source.family, source.prediction);
  check_input_channels(place, source.unet_config.in_channels);
  source.text_config = infer_text_config(file, source.family);
  source.unet = bind_unet(source);
  source.text_encoder = bind_text_encoder(source);
  if (request.vae.empty()) open_vae_in_file(source, source.single_file);
}

// --- Diffusers folders

std::string read_config(const fs::path& component) {
  const fs::path file = component / "config.json";
  if (!fs::is_regular_file(file)) {
    throw Error("the folder is no Diffusers model: this file is missing", file.string(),
                "Give the folder that holds model_index.json, unet/, vae/ and text_encoder/.");
  }
  return read_file(file, kMaxConfigBytes);
}

ModelPart bind_component(const fs::path& component, const WeightStems& stems,
                         std::string config_json, std::vector<WeightName> names) {
  BindRequest request;
  request.file = open_component_weights(component, stems);
  request.weights = std::move(names);
  ModelPart part = bind_weights(std::move(request));
  part.config_json = std::move(config_json);
  return part;
}

void open_vae_folder(ModelSource& source, const fs::path& component) {
  std::string config = read_config(component);
  source.vae_config = parse_vae_config(config, (component / "config.json").string());
  source.vae = bind_component(component, kDiffusersStems, std::move(config),
                              vae_weight_names(source.vae_config));
}

std::string stock_model_index() {
  return R"({"_class_name": "StableDiffusionPipeline", "feature_extractor": [null, null],
"scheduler": ["diffusers", "DDIMScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"]})";
}

// model_index.json, refused when it names another kind of pipeline.
std::string read_model_index(const fs::path& folder) {
  const fs::path file = folder / "model_index.json";
  if (!fs::is_regular_file(file)) return stock_model_index();
  const std::string text = read_file(file, kMaxConfigBytes);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    throw Error("the file is not valid JSON", file.string(), "Download it again.");
  const bool is_xl =
      json.contains("text_encoder_2") ||
      json.value("_class_name", nlohmann::json()).dump().find("XL") != std::string::npos;
  if (is_xl) {
    throw Error("SDXL is not supported", file.string(),
                "Give a Stable Diffusion 1.x or 2.x model.");
  }
  return text;
}

std::optional<PredictionType> stated_prediction(const std::map<std::string, std::string>& files) {
  const auto found = files.find("scheduler/scheduler_config.json");
  if (found == files.end()) return std::nullopt;
  const auto json = nlohmann::json::parse(found->second, nullptr, false);
  if (!json.is_object() || !json.contains("prediction_type")) return std::nullopt;
  const auto& word = json["prediction_type"];
  return word.is_string() ? parse_prediction_type(word.get<std::string>()) : std::nullopt;
}

void open_folder(ModelSource& source, const ModelRequest& request) {
  const fs::path& folder = source.path;
  const std::string place = folder.string();
  source.model_index_json = read_model_index(folder);
  source.other_files = read_other_components(folder, source.model_index_json);
  std::string unet_config = read_config(folder / "unet");
  std::string text_config = read_config(folder / "text_encoder");
  source.unet_config = parse_unet_config(unet_config, (folder / "unet/config.json").string());
  source.text_config =
      parse_clip_text_config(text_config, (folder / "text_encoder/config.json").string());
  source.family = source.text_config.hidden_act == "gelu" ? ModelFamily::kV2 : ModelFamily::kV1;
  check_v2_flag(place, source.family, request.v2);
  source.prediction = check_v_parameterization_flag(place, stated_prediction(source.other_files),
                                                    request.v_parameterization);
  check_input_channels(place, source.unet_config.in_channels);
  source.unet = bind_component(folder / "unet", kDiffusersStems, std::move(unet_config),
                               unet_weight_names(source.unet_config));
  source.text_encoder =
      bind_component(folder / "text_encoder", kTransformersStems, std::move(text_config),
                     text_weight_names(source.text_config, source.family));
  if (request.vae.empty()) open_vae_folder(source, folder / "vae");
}

void open_other_vae(ModelSource& source, const fs::path& path) {
  if (!is_folder(path)) {
    open_vae_in_file(source, open_weights(path));
  } else if (fs::is_directory(path / "vae")) {
    open_vae_folder(source, path / "vae");
  } else {
    open_vae_folder(source, path);
  }
}

void check_parts_fit(const ModelSource& source) {
  const std::string place = source.path.string();
  if (source.vae_config.latent_channels != kLatentChannels) {
    throw Error(fmt::format("the VAE has {} latent channels; Stable Diffusion 1.x and 2.x have 4",
                            source.vae_config.latent_channels),
                source.vae.file->path().string(),
                "Give the VAE of a Stable Diffusion 1.x or 2.x model.");
  }
  if (source.unet_config.cross_attention_dim != source.text_config.hidden_size) {
    throw Error(fmt::format("the U-Net expects text states of width {}, the text encoder makes {}",
                            source.unet_config.cross_attention_dim, source.text_config.hidden_size),
                place, "The parts come from different models.");
  }
}

}  // namespace

std::shared_ptr<const ModelSource> open_model(const ModelRequest& request) {
  auto source = std::make_shared<ModelSource>();
  source->path = without_trailing_slash(request.path);
  if (is_folder(source->path)) {
    open_folder(*source, request);
  } else {
    open_single_file(*source, request);
  }
  if (!request.vae.empty()) open_other_vae(*source, request.vae);
  check_parts_fit(*source);
  return source;
}

std::shared_ptr<const ModelSource> open_vae(const fs::path& path) {
  auto source = std::make_shared<ModelSource>();
  source->path = without_trailing_slash(path);
  open_other_vae(*source, source->path);
  return source;
}

}  // namespace sdtune
