#include "models/save_folder.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"
#include "formats/torch_checkpoint.h"
#include "models/component_files.h"
#include "models/config_json.h"

namespace sdtune {
namespace {

using Json = nlohmann::ordered_json;
using Files = std::map<std::string, std::string>;

constexpr uint64_t kRoomForSmallFiles = 16 << 20;

// A folder under a temporary name, removed unless it took its real one.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const fs::path& target)
      : target_(target), path_(temporary_name(target)) {
    make_writable_folder(path_);
  }
  ~UnfinishedFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const fs::path& path() const { return path_; }
  void finish() {
    sync_folder(path_);
    replace_folder(path_, target_);
  }

 private:
  fs::path target_;
  fs::path path_;
};

bool has_component(const Files& files, const std::string& component) {
  const auto at = files.lower_bound(component + "/");
  return at != files.end() && at->first.starts_with(component + "/");
}

std::string stock_scheduler() {
  return Json{{"_class_name", "DDIMScheduler"},
              {"_diffusers_version", "0.32.1"},
              {"beta_end", 0.012},
              {"beta_schedule", "scaled_linear"},
              {"beta_start", 0.00085},
              {"clip_sample", false},
              {"num_train_timesteps", 1000},
              {"prediction_type", "epsilon"},
              {"set_alpha_to_one", false},
              {"steps_offset", 1}}
      .dump(2);
}

// The scheduler's file says what the model predicts, whatever it said before.
std::string scheduler_config(std::string text, PredictionType prediction) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    text = stock_scheduler();
    json = Json::parse(text);
  }
  const std::string name = prediction_type_name(prediction);
  // Left as it is where it says the same already: an absent entry means epsilon.
  if (json.value("prediction_type", Json("epsilon")) == name) return text;
  json["prediction_type"] = name;
  return json.dump(2) + "\n";
}

// The files beside the three models: the source's, then the caller's for components that the source
// lacks.
Files other_files(const ModelSource& source, const SaveRequest& request) {
  Files files = source.other_files;
  for (const auto& [name, content] : request.extra_files) {
    if (!has_component(source.other_files, name.substr(0, name.find('/')))) files[name] = content;
  }
  std::string& scheduler = files["scheduler/scheduler_config.json"];
  if (scheduler.empty()) scheduler = stock_scheduler();
  scheduler = scheduler_config(scheduler, source.prediction);
  if (!has_component(files, "tokenizer")) {
    throw Error("the tokenizer's files are missing", request.path.string(),
                "A Diffusers folder holds tokenizer/vocab.json and tokenizer/merges.txt.");
  }
  return files;
}

// The source's index without its safety checker, or a new one.
std::string model_index(const ModelSource& source, const Files& files) {
  const Json nothing = {nullptr, nullptr};
  Json index = Json::parse(source.model_index_json, nullptr, false);
  if (!index.is_object())
    index = {{"_class_name", "StableDiffusionPipeline"}, {"_diffusers_version", "0.32.1"}};
  for (auto& [key, value] : index.items()) {
    if (value.is_array() && !has_component(files, key)) value = nothing;
  }
  Json scheduler =
      Json::parse(files.at("scheduler/scheduler_config.json")).value("_class_name", Json());
  if (!scheduler.is_string()) scheduler = "DDIMScheduler";
  index["feature_extractor"] = index.value("feature_extractor", nothing);
  index["requires_safety_checker"] = false;
  index["safety_checker"] = nothing;
  index["scheduler"] = {"diffusers", scheduler};
  index["text_encoder"] = {"transformers", "CLIPTextModel"};
  index["tokenizer"] = {"transformers", "CLIPTokenizer"};
  index["unet"] = {"diffusers", "UNet2DConditionModel"};
  index["vae"] = {"diffusers", "AutoencoderKL"};
  return index.dump(2) + "\n";
}

struct Component {
  const char* folder;
  WeightStems stems;
  std::string config_json;
  std::vector<TensorToWrite> plan;
};

std::vector<Component> components(const ModelSource& source, const ModelValues& model) {
  const auto config = [](const ModelPart& part, std::string made) {
    return part.config_json.empty() ? made : part.config_json;
  };
  return {{"unet", kDiffusersStems, config(source.unet, unet_config_json(source.unet_config)),
           plan_component(model.unet)},
          {"vae", kDiffusersStems, config(source.vae, vae_config_json(source.vae_config)),
           plan_component(model.vae)},
          {"text_encoder", kTransformersStems,
           config(source.text_encoder, clip_text_config_json(source.text_config)),
           plan_component(model.text_encoder)}};
}

void write_component(const fs::path& folder, const Component& component, SaveFormat format) {
  make_writable_folder(folder);
  write_file(folder / "config.json", component.config_json);
  if (format == SaveFormat::kDiffusersSafetensors) {
    // Transformers refuses a safetensors file that does not say which library's tensors it holds.
    write_safetensors(folder / (std::string(component.stems.safetensors) + ".safetensors"),
                      component.plan, {{"format", "pt"}});
  } else {
    CheckpointExtras plain;
    plain.wrap_state_dict = false;
    write_torch_checkpoint(folder / (std::string(component.stems.bin) + ".bin"), component.plan,
                           plain);
  }
}

void write_other_file(const fs::path& folder, const std::string& name, const std::string& content) {
  const fs::path relative = fs::path(name).lexically_normal();
  if (relative.is_absolute() || relative.empty() || *relative.begin() == "..") {
    throw Error(fmt::format("\"{}\" is no path inside the model's folder", name), folder.string());
  }
  make_writable_folder((folder / relative).parent_path());
  write_file(folder / relative, content);
}

}  // namespace

uint64_t bytes_of_plan(const std::vector<TensorToWrite>& plan) {
  uint64_t total = 0;
  for (const auto& tensor : plan) total += tensor.info.bytes();
  return total;
}

void check_free_space(const fs::path& target, uint64_t bytes) {
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  const uint64_t needed = bytes + kRoomForSmallFiles;
  const uint64_t available = free_bytes(folder);
  if (available >= needed) return;
  throw Error(fmt::format("the disk has {} MB free; saving the model needs {} MB", available >> 20,
                          needed >> 20),
              target.string(), "Free some space or choose another --output_dir.");
}

void check_folder_target(const fs::path& target) {
  if (!fs::exists(target)) return;
  const bool is_model = fs::is_regular_file(target / "model_index.json");
  if (fs::is_directory(target) && (is_model || fs::is_empty(target))) return;
  throw Error("the name is taken by something that is no model folder", target.string(),
              "Choose another --output_name, or move it away.");
}

void save_diffusers_folder(const ModelSource& source, const ModelValues& model,
                           const SaveRequest& request) {
  const fs::path target = request.path.has_filename() ? request.path : request.path.parent_path();
  const Files files = other_files(source, request);
  const std::vector<Component> parts = components(source, model);
  uint64_t bytes = 0;
  for (const auto& part : parts) bytes += bytes_of_plan(part.plan);
  check_free_space(target, bytes);

  UnfinishedFolder folder(target);
  for (const auto& part : parts) write_component(folder.path() / part.folder, part, request.format);
  for (const auto& [name, content] : files) write_other_file(folder.path(), name, content);
  write_file(folder.path() / "model_index.json", model_index(source, files));
  folder.finish();
}

}  // namespace sdtune
