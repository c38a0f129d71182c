#include "commands/model_ids.h"

#include <algorithm>

#include "annotate/tagger.h"
#include "base/error.h"
#include "base/files.h"
#include "hub/local_copy.h"

namespace sdtune {
namespace {

bool is_tagger(ModelUse use) { return use == ModelUse::kTagger || use == ModelUse::kDeepDanbooru; }

FileChoice tagger_files(const std::string& folder, bool is_deepdanbooru) {
  return [=](const std::vector<std::string>& names) {
    const std::string prefix = folder.empty() ? "" : folder + "/";
    const auto is_there = [&](const std::string& name) {
      return std::find(names.begin(), names.end(), prefix + name) != names.end();
    };
    const auto tagger = tagger_among(is_there, is_deepdanbooru);
    if (!tagger) throw Error("it has no tagger in ONNX with a list of tags");
    return std::vector<std::string>{prefix + tagger->model.string(),
                                    prefix + tagger->tags.string()};
  };
}

FileChoice files_for(ModelUse use, const HubPlace& place) {
  if (is_tagger(use)) return tagger_files(place.path, use == ModelUse::kDeepDanbooru);
  if (!place.path.empty()) return only_file(place.path);
  switch (use) {
    case ModelUse::kVae:
      return vae_files;
    case ModelUse::kCaptioner:
      return captioner_files;
    default:
      return whole_model_files;
  }
}

// A path whose folder is here is a mistake in the file's name.
bool lies_here(const fs::path& given) {
  std::error_code ignored;
  return fs::exists(given, ignored) || (std::distance(given.begin(), given.end()) > 2 &&
                                        fs::is_directory(given.parent_path(), ignored));
}

void find_state(TrainOptions& options) {
  std::optional<std::string>& resume = options.save.resume;
  if (!options.hub.resume || !resume || fs::is_directory(*resume)) return;
  HubSettings settings = hub_settings_from_environment();
  if (options.hub.token) settings.token = *options.hub.token;
  const HubPlace place = parse_state_place(*resume);
  resume = local_copy(settings, place, whole_folder(place.path)).path.string();
}

}  // namespace

std::optional<FoundModel> find_on_hub(const fs::path& given, ModelUse use) {
  if (lies_here(given)) return std::nullopt;
  std::optional<HubPlace> place = parse_model_id(given.string(), is_tagger(use));
  if (!place || (use == ModelUse::kFile && place->path.empty())) return std::nullopt;
  try {
    const LocalCopy found =
        local_copy(hub_settings_from_environment(), *place, files_for(use, *place));
    place->revision = found.commit;
    return FoundModel{found.path, name_of(*place)};
  } catch (const Error& error) {
    throw Error(
        fmt::format("there is no file or folder \"{}\" here, and {}", given.string(), error.what()),
        error.where(), error.hint());
  }
}

fs::path local_model(const fs::path& given, ModelUse use) {
  const std::optional<FoundModel> found = find_on_hub(given, use);
  return found ? found->path : given;
}

void find_on_hub(TrainOptions& options) {
  ModelOptions& model = options.model;
  if (const auto found = find_on_hub(model.pretrained_model_name_or_path, ModelUse::kWhole)) {
    model.pretrained_model_name_or_path = found->name;
    model.found_model = found->path;
  }
  if (const auto found = model.vae ? find_on_hub(*model.vae, ModelUse::kVae) : std::nullopt) {
    model.vae = found->name;
    model.found_vae = found->path;
  }
  if (auto& weights = options.hypernetwork.weights) {
    weights = local_model(*weights, ModelUse::kFile);
  }
  find_state(options);
}

}  // namespace sdtune
