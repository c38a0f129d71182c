// The calls that a checkpoint's pickle may describe, turned into descriptors: storages and tensors.
// Works on the graph of pickle_machine.h; nothing is called.
#pragma once

#include <string>
#include <unordered_map>

#include "formats/pickle_machine.h"

namespace sdtune {

class PickleObjects {
 public:
  PickleObjects(PickleGraph& graph, const std::string& where) : graph_(graph), where_(where) {}

  // A storage named by a persistent id: ("storage", type, key, location, elements[, None]).
  PickleValue storage(const PickleValue& id);
  // callable(*arguments). The result may be a value that is there already: its index.
  uint32_t call(uint32_t callable, uint32_t arguments);

  uint32_t push(PickleValue value);
  uint32_t push_container(PickleKind kind, std::vector<uint32_t> items);

 private:
  [[noreturn]] void refuse(const std::string& what) const;
  const PickleValue& argument(const std::vector<uint32_t>& items, size_t i) const {
    return graph_.values[items[i]];
  }
  PickleValue tensor(const std::vector<uint32_t>& arguments, bool has_dtype);
  std::vector<int64_t> sizes(const PickleValue& tuple) const;
  void check_inside(const PickleTensor& tensor) const;

  PickleGraph& graph_;
  const std::string& where_;
  std::unordered_map<std::string_view, uint32_t> storages_;
};

// The Error of a pickle that is not what torch.save writes.
[[noreturn]] void refuse_pickle(const std::string& what, const std::string& where);

}  // namespace sdtune
