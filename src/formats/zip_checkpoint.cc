// The form that torch.save writes since 1.6: a zip archive of stored entries <name>/data.pkl and
// <name>/data/<key>, one for each storage.
#include <zlib.h>

#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "formats/checkpoint_content.h"
#include "formats/stored_zip.h"

namespace sdtune {
namespace {

constexpr const char* kHint =
    "The file is damaged or was not fully downloaded. Get it again from its source.";

class ZipCheckpoint {
 public:
  ZipCheckpoint(std::span<const std::byte> file, const std::string& where)
      : file_(file), where_(where), entries_(list_stored_zip(file, where)) {
    for (const ZipEntry& entry : entries_) by_name_.emplace(entry.name, &entry);
    const std::string& first = entries_.front().name;
    folder_ = first.substr(0, first.find('/') + 1);
  }

  CheckpointContent read(FindTensors find_tensors) const {
    const ZipEntry* pickle = find("data.pkl");
    if (pickle == nullptr) {
      throw Error("the zip archive holds no data.pkl, so it is no torch checkpoint", where_,
                  "Give a .ckpt or .pt file that torch.save made, or a .safetensors file.");
    }
    if (pickle->size > kMaxPickleBytes) {
      throw Error(fmt::format("the checkpoint's data.pkl has {} bytes; {} are allowed",
                              pickle->size, kMaxPickleBytes),
                  where_, "No checkpoint of plain weights looks so; take a .safetensors file.");
    }
    check_byte_order();
    const PickleGraph graph = read_pickle(checked_bytes_of(*pickle), where_);
    if (graph.bytes != pickle->size) {
      throw Error("the checkpoint's data.pkl goes on after its end", where_, kHint);
    }
    return {find_tensors(graph, where_), locate(graph)};
  }

 private:
  const ZipEntry* find(const std::string& name) const {
    const auto found = by_name_.find(folder_ + name);
    return found == by_name_.end() ? nullptr : found->second;
  }

  std::span<const std::byte> checked_bytes_of(const ZipEntry& entry) const {
    const std::span<const std::byte> bytes =
        file_.subspan(zip_entry_offset(file_, entry, where_), entry.size);
    const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
    if (crc32_z(0, data, bytes.size()) != entry.crc) {
      throw Error(fmt::format("the checksum of '{}' is wrong", entry.name), where_, kHint);
    }
    return bytes;
  }

  void check_byte_order() const {
    const ZipEntry* entry = find("byteorder");
    if (entry == nullptr) return;
    const auto bytes = checked_bytes_of(*entry);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text != "little") {
      throw Error("the checkpoint was not written on a little-endian machine", where_,
                  "Load and save it again with PyTorch on a usual PC.");
    }
  }

  std::vector<CheckpointStorage> locate(const PickleGraph& graph) const {
    std::vector<CheckpointStorage> storages;
    for (const PickleStorage& storage : graph.storages) {
      const ZipEntry* entry = find("data/" + storage.key);
      if (entry == nullptr || entry->size != storage.bytes) {
        throw Error(fmt::format("the storage '{}' is missing or not of the size that the pickle "
                                "says",
                                storage.key.substr(0, 40)),
                    where_, kHint);
      }
      storages.push_back({0, entry->size, *entry});
    }
    return storages;
  }

  std::span<const std::byte> file_;
  const std::string& where_;
  std::vector<ZipEntry> entries_;
  std::unordered_map<std::string_view, const ZipEntry*> by_name_;
  std::string folder_;
};

}  // namespace

CheckpointContent read_zip_checkpoint(std::span<const std::byte> file, const std::string& where,
                                      FindTensors find) {
  return ZipCheckpoint(file, where).read(find);
}

}  // namespace sdtune
