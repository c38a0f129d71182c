#include "hub/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "formats/component_names.h"

namespace sdtune {
namespace {

using Names = std::vector<std::string>;

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "model-00001-of-00003" and the like: how many there are; 0 for other names.
int shard_count(const std::string& name) {
  const size_t mark = name.find("-of-");
  if (mark == std::string::npos) return 0;
  int count = 0;
  std::from_chars(name.data() + mark + 4, name.data() + name.size(), count);
  return count;
}

// The shards of an index "model.safetensors.index[.fp16].json" that stand beside it.
Names shards_of(const std::string& prefix, const std::string& index, const Names& names) {
  constexpr std::string_view kIndex = ".index", kJson = ".json";
  const size_t mark = index.find(kIndex);
  const std::string extension = index.substr(0, mark).ends_with(".bin") ? ".bin" : ".safetensors";
  const size_t variant_at = mark + kIndex.size();
  const std::string variant = index.substr(variant_at, index.size() - kJson.size() - variant_at);
  const std::string stem = prefix + index.substr(0, mark - extension.size());
  Names shards;
  int count = 0;
  for (const std::string& name : names) {
    if (!name.starts_with(stem) || !name.ends_with(extension) || shard_count(name) == 0) continue;
    // ".fp16-00001-of-00002" or "-00001-of-00002.fp16", or without a variant.
    const std::string rest = name.substr(stem.size(), name.size() - stem.size() - extension.size());
    if (variant.empty() ? rest.find('.') != std::string::npos
                        : rest.find(variant) == std::string::npos) {
      continue;
    }
    shards.push_back(name);
    count = shard_count(name);
  }
  return static_cast<int>(shards.size()) == count ? shards : Names();
}

// The weights below `prefix` that a reader would open. Empty when there are none.
Names weights(const std::string& prefix, const WeightStems& stems, const Names& names) {
  for (const std::string& candidate : weight_file_names(stems)) {
    if (!contains(names, prefix + candidate)) continue;
    if (!candidate.ends_with(".json")) return {prefix + candidate};
    Names files = shards_of(prefix, candidate, names);
    if (files.empty()) return {};
    files.push_back(prefix + candidate);
    return files;
  }
  return {};
}

// What is wrong with a repository for which none of the usual forms fits.
Error not_this(const std::string& what, const Names& names) {
  Names single;
  for (const std::string& name : names) {
    if (name.find('/') == std::string::npos &&
        (name.ends_with(".safetensors") || name.ends_with(".ckpt"))) {
      single.push_back(name);
    }
  }
  if (single.empty()) return Error(what);
  return Error(what, "", fmt::format("name the file too: put /{} behind the id", single[0]));
}

void add(Names& all, const Names& more) { all.insert(all.end(), more.begin(), more.end()); }

Names component(const std::string& prefix, const WeightStems& stems, const Names& names) {
  Names files = weights(prefix, stems, names);
  if (files.empty() || !contains(names, prefix + "config.json")) {
    throw not_this(fmt::format("it has no {}config.json with weights beside it", prefix), names);
  }
  files.push_back(prefix + "config.json");
  return files;
}

bool is_small_part(const std::string& name) {
  constexpr std::array kFolders = {"tokenizer/", "scheduler/", "feature_extractor/"};
  constexpr std::array kExtensions = {".json", ".txt"};
  return std::any_of(kFolders.begin(), kFolders.end(),
                     [&](const char* folder) { return name.starts_with(folder); }) &&
         std::any_of(kExtensions.begin(), kExtensions.end(),
                     [&](const char* extension) { return name.ends_with(extension); });
}

}  // namespace

Names whole_model_files(const Names& names) {
  if (!contains(names, "model_index.json")) {
    throw not_this("it is no Diffusers model: it has no model_index.json", names);
  }
  Names files = {"model_index.json"};
  add(files, component("unet/", kDiffusersStems, names));
  add(files, component("vae/", kDiffusersStems, names));
  add(files, component("text_encoder/", kTransformersStems, names));
  std::copy_if(names.begin(), names.end(), std::back_inserter(files), is_small_part);
  return files;
}

Names vae_files(const Names& names) {
  const bool is_whole_model = contains(names, "vae/config.json");
  return component(is_whole_model ? "vae/" : "", kDiffusersStems, names);
}

Names captioner_files(const Names& names) {
  Names files = component("", kTransformersStems, names);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "vocab.txt"}) {
    if (contains(names, name)) files.emplace_back(name);
  }
  return files;
}

FileChoice only_file(const std::string& path) {
  return [path](const Names& names) {
    if (!contains(names, path)) throw not_this(fmt::format("it has no file \"{}\"", path), names);
    return Names{path};
  };
}

FileChoice whole_folder(const std::string& path) {
  return [path](const Names& names) {
    Names files;
    std::copy_if(names.begin(), names.end(), std::back_inserter(files),
                 [&](const std::string& name) { return name.starts_with(path + "/"); });
    if (files.empty()) throw Error(fmt::format("it has no folder \"{}\"", path));
    return files;
  };
}

}  // namespace sdtune
