#include "formats/pickle_objects.h"

#include "base/error.h"
#include "formats/checked_size.h"

namespace sdtune {

void refuse_pickle(const std::string& what, const std::string& where) {
  throw Error("the pickle " + what, where,
              "No checkpoint of plain weights looks so: the file is damaged or hostile. Take its "
              ".safetensors version, or get it from a source you trust.");
}

void PickleObjects::refuse(const std::string& what) const { refuse_pickle(what, where_); }

uint32_t PickleObjects::push(PickleValue value) {
  graph_.values.push_back(value);
  return static_cast<uint32_t>(graph_.values.size() - 1);
}

uint32_t PickleObjects::push_container(PickleKind kind, std::vector<uint32_t> items) {
  graph_.lists.push_back(std::move(items));
  return push({.kind = kind, .index = static_cast<uint32_t>(graph_.lists.size() - 1)});
}

PickleValue PickleObjects::storage(const PickleValue& id) {
  if (id.kind != PickleKind::kTuple) refuse("has a persistent id that is no storage");
  const std::vector<uint32_t>& items = graph_.items(id);
  const bool long_form = items.size() == 6 && argument(items, 5).kind == PickleKind::kNone;
  if (items.size() != 5 && !long_form) refuse("has a persistent id that is no storage");
  const PickleValue& type = argument(items, 1);
  const PickleValue& key = argument(items, 2);
  const PickleValue& elements = argument(items, 4);
  if (argument(items, 0).kind != PickleKind::kText || argument(items, 0).text != "storage" ||
      type.kind != PickleKind::kName || key.kind != PickleKind::kText ||
      argument(items, 3).kind != PickleKind::kText || elements.kind != PickleKind::kInt) {
    refuse("has a persistent id that is no storage");
  }
  PickleStorage storage{.key = std::string(key.text)};
  if (type.name->meaning == PickleMeaning::kTypedStorage) {
    storage.dtype = type.name->dtype;
  } else if (type.name->meaning != PickleMeaning::kUntypedStorage) {
    refuse("has a persistent id that is no storage");
  }
  const int64_t count[] = {elements.number};
  const auto bytes = checked_bytes(count, storage.dtype.value_or(DType::kU8));
  if (!bytes) refuse(fmt::format("has a storage of {} elements", elements.number));
  storage.elements = static_cast<uint64_t>(elements.number);
  storage.bytes = *bytes;

  const auto [known, is_new] =
      storages_.emplace(key.text, static_cast<uint32_t>(graph_.storages.size()));
  if (is_new) {
    graph_.storages.push_back(std::move(storage));
  } else if (const PickleStorage& first = graph_.storages[known->second];
             first.dtype != storage.dtype || first.elements != storage.elements) {
    refuse("describes one storage in two ways");
  }
  return {.kind = PickleKind::kStorage, .index = known->second};
}

uint32_t PickleObjects::call(uint32_t callable, uint32_t arguments) {
  const PickleValue& function = graph_.values[callable];
  if (graph_.values[arguments].kind != PickleKind::kTuple) {
    refuse("calls something without a tuple of arguments");
  }
  if (function.kind == PickleKind::kOpaque) return push({.kind = PickleKind::kOpaque});
  if (function.kind != PickleKind::kName) refuse("calls a value that is no name");
  const std::vector<uint32_t>& items = graph_.items(graph_.values[arguments]);
  const auto first_is = [&](PickleKind kind) {
    return !items.empty() && argument(items, 0).kind == kind;
  };
  switch (function.name->meaning) {
    case PickleMeaning::kOrderedDict:
      if (!items.empty()) refuse("makes an OrderedDict from arguments");
      return push_container(PickleKind::kDict, {});
    case PickleMeaning::kRebuildTensorV2:
      return push(tensor(items, false));
    case PickleMeaning::kRebuildTensorV3:
      return push(tensor(items, true));
    case PickleMeaning::kRebuildParameter:
      if (items.size() != 3 || !first_is(PickleKind::kTensor)) {
        refuse("makes a parameter from something else than a tensor");
      }
      return items[0];
    case PickleMeaning::kSize:
      if (items.size() != 1 || !first_is(PickleKind::kTuple)) refuse("makes a malformed size");
      return items[0];
    case PickleMeaning::kOpaque:
      return push({.kind = PickleKind::kOpaque});
    case PickleMeaning::kTypedStorage:
    case PickleMeaning::kUntypedStorage:
    case PickleMeaning::kDType:
      break;
  }
  refuse(fmt::format("calls '{}.{}'", function.name->module, function.name->name));
}

std::vector<int64_t> PickleObjects::sizes(const PickleValue& tuple) const {
  if (tuple.kind != PickleKind::kTuple) refuse("has a tensor whose shape is no tuple");
  const std::vector<uint32_t>& items = graph_.items(tuple);
  if (items.size() > kMaxDimensions) {
    refuse(fmt::format("has a tensor of more than {} dimensions", kMaxDimensions));
  }
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < items.size(); ++i) {
    const PickleValue& item = argument(items, i);
    if (item.kind != PickleKind::kInt || item.number < 0) {
      refuse("has a tensor with a size or stride that is no count");
    }
    sizes.push_back(item.number);
  }
  return sizes;
}

PickleValue PickleObjects::tensor(const std::vector<uint32_t>& items, bool has_dtype) {
  // A dictionary of extra facts may follow; nothing in it changes the numbers.
  const size_t needed = has_dtype ? 7 : 6;
  if (items.size() != needed && items.size() != needed + 1) {
    refuse("rebuilds a tensor from a wrong number of arguments");
  }
  const PickleValue& storage = argument(items, 0);
  const PickleValue& offset = argument(items, 1);
  if (storage.kind != PickleKind::kStorage) refuse("rebuilds a tensor from no storage");
  if (offset.kind != PickleKind::kInt || offset.number < 0) {
    refuse("has a tensor whose offset is no count");
  }
  PickleTensor made{.storage = storage.index, .offset = static_cast<uint64_t>(offset.number)};
  made.shape = sizes(argument(items, 2));
  made.strides = sizes(argument(items, 3));
  if (made.shape.size() != made.strides.size()) {
    refuse("has a tensor whose sizes and strides differ in number");
  }
  const std::optional<DType> stored = graph_.storages[storage.index].dtype;
  if (has_dtype) {
    const PickleValue& dtype = argument(items, 6);
    if (dtype.kind != PickleKind::kName || dtype.name->meaning != PickleMeaning::kDType ||
        (stored && *stored != dtype.name->dtype)) {
      refuse("rebuilds a tensor with a wrong dtype");
    }
    made.dtype = dtype.name->dtype;
  } else {
    made.dtype = stored.value_or(DType::kU8);
  }
  check_inside(made);
  if (graph_.tensors.size() == kMaxPickleTensors) {
    refuse(fmt::format("has more than {} tensors", kMaxPickleTensors));
  }
  graph_.tensors.push_back(std::move(made));
  return {.kind = PickleKind::kTensor, .index = static_cast<uint32_t>(graph_.tensors.size() - 1)};
}

// offset + Σ (size - 1) · stride < elements, and no more elements than the storage has: else a
// stride of 0 would let a small file ask for any amount of memory.
void PickleObjects::check_inside(const PickleTensor& tensor) const {
  const uint64_t elements = graph_.storages[tensor.storage].bytes / dtype_size(tensor.dtype);
  const std::optional<uint64_t> numel = checked_numel(tensor.shape);
  if (!numel || *numel > elements || tensor.offset > elements) {
    refuse("has a tensor that is larger than its storage");
  }
  if (*numel == 0) return;
  uint64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    const uint64_t steps = static_cast<uint64_t>(tensor.shape[i]) - 1;
    uint64_t span = 0;
    if (__builtin_mul_overflow(steps, static_cast<uint64_t>(tensor.strides[i]), &span) ||
        __builtin_add_overflow(last, span, &last)) {
      refuse("has a tensor that is larger than its storage");
    }
  }
  if (last >= elements) refuse("has a tensor that reaches beyond its storage");
}

}  // namespace sdtune
