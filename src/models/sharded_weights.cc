#include "models/sharded_weights.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "formats/open_weights.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxIndexBytes = 64 << 20;
constexpr size_t kMaxShards = 1000;
constexpr const char* kHint = "Download the folder again, or save the model without shards.";

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && fs::path(name).filename() == name &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

// The names of each file's tensors.
std::map<std::string, std::vector<std::string>> read_index(const fs::path& path) {
  const std::string place = path.string();
  const auto json = nlohmann::json::parse(read_file(path, kMaxIndexBytes), nullptr, false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw Error("this is no index of weights: it has no \"weight_map\"", place, kHint);
  }
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string() || !is_plain_file_name(file.get<std::string>())) {
      throw Error(fmt::format("the index gives \"{}\" a file that is no plain name: {}", tensor,
                              file.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)),
                  place, "The files of an index must lie beside it.");
    }
    shards[file.get<std::string>()].push_back(tensor);
  }
  if (shards.empty() || shards.size() > kMaxShards) {
    throw Error(
        fmt::format("the index names {} files; 1 to {} are allowed", shards.size(), kMaxShards),
        place, kHint);
  }
  return shards;
}

class ShardedWeights final : public WeightFile {
 public:
  explicit ShardedWeights(const fs::path& index_path) {
    path_ = index_path;
    for (const auto& [name, tensors] : read_index(index_path)) {
      const auto& shard = shards_.emplace_back(open_weights(index_path.parent_path() / name));
      is_torch_checkpoint_ = shard->is_torch_checkpoint();
      for (const auto& tensor : tensors) {
        const TensorInfo* info = shard->find(tensor);
        if (!info) {
          throw Error(
              fmt::format("the index says that \"{}\" holds tensor \"{}\", which it does not", name,
                          tensor),
              index_path.string(), kHint);
        }
        tensors_.push_back(*info);
        owners_.emplace(tensor, shard.get());
      }
    }
    index();
  }

 private:
  void copy(size_t number, uint64_t begin, std::span<std::byte> out) const override {
    const TensorInfo& info = tensors_[number];
    owners_.at(info.name)->read_part(info, begin, out);
  }

  std::vector<std::unique_ptr<WeightFile>> shards_;
  std::unordered_map<std::string, const WeightFile*> owners_;
};

}  // namespace

std::unique_ptr<WeightFile> open_sharded_weights(const std::filesystem::path& index) {
  return std::make_unique<ShardedWeights>(index);
}

}  // namespace sdtune
