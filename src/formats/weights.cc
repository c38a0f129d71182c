#include "formats/weights.h"

#include <bit>

#include "base/error.h"

namespace sdtune {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they lie");

struct DTypeFacts {
  const char* name;
  uint64_t size;
  bool floating;
};

// In the order of the enumeration.
constexpr DTypeFacts kDTypes[] = {
    {"F64", 8, true},     {"F32", 4, true},     {"F16", 2, true},   {"BF16", 2, true},
    {"F8_E4M3", 1, true}, {"F8_E5M2", 1, true}, {"I64", 8, false},  {"I32", 4, false},
    {"I16", 2, false},    {"I8", 1, false},     {"U64", 8, false},  {"U32", 4, false},
    {"U16", 2, false},    {"U8", 1, false},     {"BOOL", 1, false},
};
static_assert(std::size(kDTypes) == static_cast<size_t>(DType::kBool) + 1);

const DTypeFacts& facts(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

}  // namespace

uint64_t dtype_size(DType dtype) { return facts(dtype).size; }
const char* dtype_name(DType dtype) { return facts(dtype).name; }
bool dtype_is_floating(DType dtype) { return facts(dtype).floating; }

int64_t TensorInfo::numel() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

const TensorInfo* WeightFile::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

void WeightFile::read(const TensorInfo& info, std::span<std::byte> out) const {
  const TensorInfo* found = find(info.name);
  if (found == nullptr || out.size() != found->bytes()) {
    throw Error(fmt::format("the tensor '{}' was asked for with a wrong name or size", info.name),
                path_.string());
  }
  read_part(info, 0, out);
}

void WeightFile::read_part(const TensorInfo& info, uint64_t begin, std::span<std::byte> out) const {
  const TensorInfo* found = find(info.name);
  if (found == nullptr || begin > found->bytes() || out.size() > found->bytes() - begin) {
    throw Error(
        fmt::format("bytes of the tensor '{}' were asked for that it does not have", info.name),
        path_.string());
  }
  if (!out.empty()) copy(static_cast<size_t>(found - tensors_.data()), begin, out);
}

void WeightFile::index() {
  by_name_.clear();
  by_name_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!by_name_.emplace(tensors_[i].name, i).second) {
      throw Error(fmt::format("the tensor '{}' stands twice in the file", tensors_[i].name),
                  path_.string(), "The file is damaged. Get it again from its source.");
    }
  }
}

}  // namespace sdtune
