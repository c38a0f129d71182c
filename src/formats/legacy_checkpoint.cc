// The form that torch.save wrote before 1.6: five pickles (a magic number, a version, facts about
// the machine, the object, the storages' keys), then each storage as an int64 count and its bytes.
#include <unordered_map>

#include "base/error.h"
#include "formats/byte_cursor.h"
#include "formats/checkpoint_content.h"

namespace sdtune {
namespace {

// 0x1950a86a20f9469cfc6c, little-endian; and the only version there ever was.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kVersion = 1001;
constexpr const char* kHint =
    "The file is damaged or was not fully downloaded. Get it again from its source.";

class LegacyCheckpoint {
 public:
  LegacyCheckpoint(std::span<const std::byte> file, const std::string& where)
      : where_(where), rest_(file), file_(file) {}

  CheckpointContent read(FindTensors find) {
    check_magic();
    check_machine();
    const PickleGraph object = next_pickle();
    StateDict dict = find(object, where_);
    return {std::move(dict), locate(object, next_pickle())};
  }

 private:
  PickleGraph next_pickle() {
    PickleGraph graph = read_pickle(rest_, where_);
    rest_ = rest_.subspan(graph.bytes);
    return graph;
  }

  void check_magic() {
    const PickleGraph magic = next_pickle();
    const PickleValue& number = magic.values[magic.root];
    if (number.kind != PickleKind::kBigInt || number.text != kMagic) {
      throw Error("the file is a pickle, but not one that torch.save made", where_,
                  "Give a .ckpt or .pt file of weights, or a .safetensors file.");
    }
    const PickleGraph version = next_pickle();
    const PickleValue& value = version.values[version.root];
    if (value.kind != PickleKind::kInt || value.number != kVersion) {
      throw Error("the checkpoint is of an unknown version", where_,
                  "Load and save it again with a present PyTorch.");
    }
  }

  void check_machine() {
    const PickleGraph facts = next_pickle();
    const PickleValue& dict = facts.values[facts.root];
    bool little = false;
    if (dict.kind == PickleKind::kDict) {
      const std::vector<uint32_t>& items = facts.items(dict);
      for (size_t i = 0; i + 1 < items.size(); i += 2) {
        const PickleValue& value = facts.values[items[i + 1]];
        if (facts.values[items[i]].text == "little_endian") {
          little = value.kind == PickleKind::kBool && value.number == 1;
        }
      }
    }
    if (!little) {
      throw Error("the checkpoint was not written on a little-endian machine", where_,
                  "Load and save it again with PyTorch on a usual PC.");
    }
  }

  std::vector<CheckpointStorage> locate(const PickleGraph& object, const PickleGraph& keys) const {
    std::unordered_map<std::string_view, size_t> by_key;
    for (size_t i = 0; i < object.storages.size(); ++i) by_key.emplace(object.storages[i].key, i);
    const PickleValue& list = keys.values[keys.root];
    if (list.kind != PickleKind::kList || keys.items(list).size() != by_key.size()) refuse();

    const uint64_t begin = file_.size() - rest_.size();
    ByteCursor cursor(rest_, "storages", where_);
    std::vector<CheckpointStorage> storages(object.storages.size());
    for (const uint32_t item : keys.items(list)) {
      const PickleValue& key = keys.values[item];
      const auto found = by_key.find(key.text);
      if (key.kind != PickleKind::kText || found == by_key.end()) refuse();
      const PickleStorage& storage = object.storages[found->second];
      if (cursor.number<uint64_t>() != storage.elements) refuse();
      storages[found->second] = {begin + cursor.position(), storage.bytes, std::nullopt};
      cursor.skip(storage.bytes);
      by_key.erase(found);
    }
    if (cursor.remaining() != 0) refuse();
    return storages;
  }

  [[noreturn]] void refuse() const {
    throw Error("the checkpoint's storages are not those that its pickle describes", where_, kHint);
  }

  const std::string& where_;
  std::span<const std::byte> rest_;
  std::span<const std::byte> file_;
};

}  // namespace

CheckpointContent read_legacy_checkpoint(std::span<const std::byte> file, const std::string& where,
                                         FindTensors find) {
  return LegacyCheckpoint(file, where).read(find);
}

}  // namespace sdtune
