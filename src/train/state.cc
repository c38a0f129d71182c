#include "train/state.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "formats/safetensors.h"
#include "models/weight_values.h"
#include "train/tensor_file.h"

namespace sdtune {

namespace {

using nlohmann::ordered_json;

constexpr const char* kRecord = "train_state.json";
constexpr const char* kManifest = "manifest.json";
constexpr int kVersion = 1;
constexpr const char* kDamaged =
    "resume from an older state, or with --resume=auto, which takes the newest whole one";

struct StatePart {
  const char* file;
  NamedTensors TrainedTensors::*tensors;
};
constexpr StatePart kParts[] = {{"unet.safetensors", &TrainedTensors::unet},
                                {"text_encoder.safetensors", &TrainedTensors::text_encoder},
                                {"hypernetwork.safetensors", &TrainedTensors::hypernetwork},
                                {"ema.safetensors", &TrainedTensors::ema}};

NamedTensors optimizer_tensors(Optimizer& optimizer) {
  NamedTensors all;
  optimizer.visit_state([&](const std::string& name, at::Tensor& t) { all.emplace_back(name, t); });
  return all;
}

ordered_json plateau_record(const PlateauState& plateau) {
  ordered_json record = {{"factor", plateau.factor},
                         {"bad_epochs", plateau.bad_epochs},
                         {"cooldown", plateau.cooldown},
                         {"sum", plateau.sum},
                         {"count", plateau.count}};
  if (plateau.best) record["best"] = *plateau.best;
  return record;
}

PlateauState read_plateau(const ordered_json& record) {
  PlateauState plateau{.factor = record.at("factor"),
                       .bad_epochs = record.at("bad_epochs"),
                       .cooldown = record.at("cooldown"),
                       .sum = record.at("sum"),
                       .count = record.at("count")};
  if (record.contains("best")) plateau.best = record["best"].get<double>();
  return plateau;
}

void write_record(const fs::path& path, const RunState& state) {
  ordered_json record = {{"version", kVersion},
                         {"step", state.position.step},
                         {"epoch", state.position.epoch},
                         {"batch", state.position.batch},
                         {"seed", state.seed}};
  if (state.scaler) {
    record["scaler"] = {{"scale", state.scaler->scale}, {"good_steps", state.scaler->good_steps}};
  }
  if (state.plateau) record["plateau"] = plateau_record(*state.plateau);
  for (const auto& [name, value] : state.made_with) record["made_with"][name] = value;
  write_file(path, record.dump(2));
}

RunState parse_record(const fs::path& path) {
  const ordered_json record = ordered_json::parse(read_file(path));
  if (record.at("version") != kVersion) {
    throw Error("the state was written by another version of sdtune", path.string());
  }
  RunState state;
  state.position = {record.at("step"), record.at("epoch"), record.at("batch")};
  state.seed = record.at("seed");
  if (record.contains("scaler")) {
    state.scaler = {record["scaler"].at("scale"), record["scaler"].at("good_steps")};
  }
  if (record.contains("plateau")) state.plateau = read_plateau(record["plateau"]);
  if (record.contains("made_with")) {
    for (const auto& [name, value] : record["made_with"].items())
      state.made_with.emplace_back(name, value);
  }
  return state;
}

// Sizes and hashes of all files of the folder, but for the manifest itself.
void write_manifest(const fs::path& folder) {
  ordered_json files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = {{"bytes", entry.file_size()},
                                               {"xxh3_128", hash_file(entry.path())}};
  }
  write_file(folder / kManifest, ordered_json{{"version", kVersion}, {"files", files}}.dump(2));
}

void check_manifest(const fs::path& folder) {
  const fs::path path = folder / kManifest;
  if (!fs::exists(path)) throw Error("this folder holds no whole state", folder.string(), kDamaged);
  const ordered_json manifest = ordered_json::parse(read_file(path));
  for (const auto& [name, entry] : manifest.at("files").items()) {
    const fs::path file = folder / fs::path(name).filename();
    std::error_code missing;
    const bool right_size =
        fs::file_size(file, missing) == entry.at("bytes").get<uint64_t>() && !missing;
    if (!right_size || hash_file(file) != entry.at("xxh3_128").get<std::string>()) {
      throw Error("the file is not as it was written", file.string(), kDamaged);
    }
  }
}

void fill(const fs::path& path, const NamedTensors& tensors) {
  const std::unique_ptr<WeightFile> file = open_safetensors(path);
  for (const auto& [name, tensor] : tensors) {
    const TensorInfo* info = file->find(name);
    if (info == nullptr || info->shape != tensor.sizes().vec()) {
      throw Error(fmt::format("the state has no fitting \"{}\"", name), path.string(),
                  "resume with the model and the options that the state was made with");
    }
    const at::NoGradGuard no_grad;
    at::Tensor target = tensor;
    target.copy_(
        read_tensor(values_in_file(*file, *info), info->shape, scalar_type_of(info->dtype)));
  }
}

// The step in "…-step00000100-state" and the like is not trusted; the record says it. Null for no
// record.
std::optional<int64_t> recorded_step(const fs::path& folder) {
  try {
    return parse_record(folder / kRecord).position.step;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

void save_state(const fs::path& folder, const RunState& state, const TrainedTensors& tensors) {
  uint64_t needed = 1 << 20;
  const NamedTensors moments = optimizer_tensors(*tensors.optimizer);
  for (const auto& [name, tensor] : moments) needed += tensor.nbytes();
  for (const StatePart& part : kParts) {
    for (const auto& [name, tensor] : tensors.*part.tensors) needed += tensor.nbytes();
  }
  if (const uint64_t free = free_bytes(folder.parent_path()); free < needed) {
    throw Error(fmt::format("the state needs {} MB and {} MB are free", needed >> 20, free >> 20),
                folder.string(), "free some space or choose another --output_dir");
  }
  const fs::path unfinished = temporary_name(folder);
  try {
    make_writable_folder(unfinished);
    for (const StatePart& part : kParts) {
      const NamedTensors& kept = tensors.*part.tensors;
      if (!kept.empty()) write_tensors(unfinished / part.file, kept);
    }
    write_tensors(unfinished / "optimizer.safetensors", moments);
    write_record(unfinished / kRecord, state);
    write_manifest(unfinished);
    replace_folder(unfinished, folder);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);
    throw;
  }
}

RunState read_state(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw Error("there is no such state folder", folder.string(),
                "states are the folders whose names end in -state");
  }
  try {
    check_manifest(folder);
    return parse_record(folder / kRecord);
  } catch (const nlohmann::json::exception&) {
    throw Error("the record of the state cannot be read", folder.string(), kDamaged);
  }
}

void load_state_tensors(const fs::path& folder, const TrainedTensors& tensors) {
  for (const StatePart& part : kParts) {
    if (!(tensors.*part.tensors).empty()) fill(folder / part.file, tensors.*part.tensors);
  }
  fill(folder / "optimizer.safetensors", optimizer_tensors(*tensors.optimizer));
}

std::optional<fs::path> newest_state(std::span<const fs::path> folders) {
  std::multimap<int64_t, fs::path, std::greater<>> by_step;
  std::error_code ignored;
  for (const fs::path& folder : folders) {
    if (!fs::is_directory(folder, ignored)) continue;
    if (const auto step = recorded_step(folder)) {
      by_step.emplace(*step, folder);
    } else {
      log_warning("passed over {}: it holds no readable state", folder.string());
    }
  }
  for (const auto& [step, folder] : by_step) {
    try {
      read_state(folder);
      return folder;
    } catch (const Error& error) {
      log_warning("passed over the state of step {}: {} ({})", step, error.what(), error.where());
    }
  }
  return std::nullopt;
}

std::vector<std::string> describe_changes(const RunState& then, const RunState& now) {
  std::vector<std::string> changes;
  const std::map<std::string, std::string> current(now.made_with.begin(), now.made_with.end());
  for (const auto& [name, value] : then.made_with) {
    const auto found = current.find(name);
    if (found != current.end() && found->second != value) {
      changes.push_back(fmt::format("{}: {} then, {} now", name, value, found->second));
    }
  }
  return changes;
}

}  // namespace sdtune
