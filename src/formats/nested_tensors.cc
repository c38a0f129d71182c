#include "formats/nested_tensors.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace sdtune {
namespace {

class NestedTensorFinder {
 public:
  NestedTensorFinder(const PickleGraph& graph, const std::string& where)
      : graph_(graph), where_(where) {}

  StateDict find() {
    const PickleValue& root = graph_.values[graph_.root];
    if (root.kind != PickleKind::kDict) refuse("holds no dictionary");
    collect_dict(root, "", 0);
    return std::move(found_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error("the checkpoint " + what, where_,
                "Expected are named tensors in dictionaries and lists; get the file again from a "
                "source you trust.");
  }

  void collect_dict(const PickleValue& dict, const std::string& prefix, size_t depth) {
    const std::vector<uint32_t>& items = graph_.items(dict);
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      collect(graph_.values[items[i + 1]], prefix + key_text(graph_.values[items[i]]), depth);
    }
  }

  std::string key_text(const PickleValue& key) const {
    if (key.kind != PickleKind::kText && key.kind != PickleKind::kInt) {
      refuse("has an entry whose key is neither text nor a whole number");
    }
    return *scalar_text(key);
  }

  // What is shared in the pickle is copied here, so entries and their text are counted.
  void count(size_t bytes) {
    bytes_ += bytes;
    if (++entries_ > kMaxPickleOpcodes || bytes_ > kMaxPickleBytes) {
      refuse("has too many entries");
    }
  }

  void collect(const PickleValue& value, const std::string& name, size_t depth) {
    count(name.size() + value.text.size());
    if (value.kind == PickleKind::kTensor) {
      const PickleTensor& tensor = graph_.tensors[value.index];
      found_.infos.push_back({name, tensor.dtype, tensor.shape});
      found_.tensors.push_back(tensor);
    } else if (value.kind == PickleKind::kDict) {
      if (depth == kMaxNesting) refuse("is nested too deeply");
      collect_dict(value, name + '.', depth + 1);
    } else if (value.kind == PickleKind::kList || value.kind == PickleKind::kTuple) {
      if (depth == kMaxNesting) refuse("is nested too deeply");
      collect_list(graph_.items(value), name, depth + 1);
    } else if (const auto text = scalar_text(value)) {
      found_.metadata.emplace(name, *text);
    }
  }

  // Scalars alone make one text.
  void collect_list(const std::vector<uint32_t>& items, const std::string& name, size_t depth) {
    std::vector<std::string> texts;
    for (const uint32_t item : items) {
      const auto text = scalar_text(graph_.values[item]);
      if (!text) break;
      count(text->size());
      texts.push_back(*text);
    }
    if (texts.size() == items.size()) {
      found_.metadata.emplace(name, fmt::format("{}", fmt::join(texts, ", ")));
      return;
    }
    for (size_t i = 0; i < items.size(); ++i) {
      collect(graph_.values[items[i]], fmt::format("{}.{}", name, i), depth);
    }
  }

  const PickleGraph& graph_;
  const std::string& where_;
  StateDict found_;
  size_t entries_ = 0;
  size_t bytes_ = 0;  // of names and texts
};

}  // namespace

StateDict find_nested_tensors(const PickleGraph& graph, const std::string& where) {
  return NestedTensorFinder(graph, where).find();
}

}  // namespace sdtune
