#include "formats/state_dict.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/log.h"

namespace sdtune {
namespace {

constexpr const char* kStateDictKey = "state_dict";
constexpr int kMaxWrappers = 4;

class StateDictFinder {
 public:
  StateDictFinder(const PickleGraph& graph, const std::string& where)
      : graph_(graph), where_(where) {}

  StateDict find() {
    const PickleValue* dict = &graph_.values[graph_.root];
    if (dict->kind != PickleKind::kDict) refuse("holds no dictionary of weights");
    for (int depth = 0; const PickleValue* inner = wrapped(*dict); ++depth) {
      if (depth == kMaxWrappers) refuse("wraps its state_dict too often");
      collect(*dict, false);
      dict = inner;
    }
    collect(*dict, true);
    if (found_.infos.empty()) refuse("holds no dictionary of weights");
    report();
    return std::move(found_);
  }

 private:
  [[noreturn]] void refuse(const char* what) const {
    throw Error(fmt::format("the checkpoint {}", what), where_,
                "Expected is a dictionary of named tensors, or one under the key 'state_dict'.");
  }

  const PickleValue* wrapped(const PickleValue& dict) const {
    const std::vector<uint32_t>& items = graph_.items(dict);
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const PickleValue& key = graph_.values[items[i]];
      const PickleValue& value = graph_.values[items[i + 1]];
      if (key.kind == PickleKind::kText && key.text == kStateDictKey &&
          value.kind == PickleKind::kDict) {
        return &value;
      }
    }
    return nullptr;
  }

  // Takes what `dict` holds; tensors only where it is the state dict itself.
  void collect(const PickleValue& dict, bool is_state_dict) {
    const std::vector<uint32_t>& items = graph_.items(dict);
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const PickleValue& key = graph_.values[items[i]];
      const PickleValue& value = graph_.values[items[i + 1]];
      if (key.kind != PickleKind::kText) {
        skip(key.kind == PickleKind::kInt ? fmt::format("{}", key.number) : "(no text)");
        continue;
      }
      const std::string name(key.text);
      if (!is_state_dict && name == kStateDictKey) continue;
      if (is_state_dict && value.kind == PickleKind::kTensor) {
        const PickleTensor& tensor = graph_.tensors[value.index];
        found_.infos.push_back({name, tensor.dtype, tensor.shape});
        found_.tensors.push_back(tensor);
      } else if (const auto text = scalar_text(value)) {
        found_.metadata.emplace(name, *text);
      } else {
        skip(name);
      }
    }
  }

  void skip(std::string name) {
    ++skipped_;
    if (shown_.size() < 8) shown_.push_back(name.substr(0, 80));
  }

  void report() const {
    if (skipped_ == 0) return;
    std::string classes;
    if (!graph_.opaque_names.empty()) {
      classes = fmt::format(", with objects of {}", fmt::join(graph_.opaque_names, ", "));
    }
    log_warning("{}: skipped {} entries that are no weights ({}{}{})", where_, skipped_,
                fmt::join(shown_, ", "), skipped_ > shown_.size() ? ", …" : "", classes);
  }

  const PickleGraph& graph_;
  const std::string& where_;
  StateDict found_;
  size_t skipped_ = 0;
  std::vector<std::string> shown_;
};

}  // namespace

std::optional<std::string> scalar_text(const PickleValue& value) {
  switch (value.kind) {
    case PickleKind::kText:
      return std::string(value.text);
    case PickleKind::kInt:
      return fmt::format("{}", value.number);
    case PickleKind::kBool:
      return value.number != 0 ? "true" : "false";
    case PickleKind::kFloat:
      return fmt::format("{}", std::bit_cast<double>(value.number));
    default:
      return std::nullopt;
  }
}

StateDict find_state_dict(const PickleGraph& graph, const std::string& where) {
  return StateDictFinder(graph, where).find();
}

}  // namespace sdtune
