#include <algorithm>
#include <bit>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "formats/stored_zip.h"
#include "formats/stored_zip_writer.h"
#include "formats/tensor_output.h"
#include "formats/torch_checkpoint.h"
#include "formats/utf8.h"

namespace sdtune {
namespace {

constexpr const char* kFolder = "archive/";

struct StorageName {
  const char* storage;  // "FloatStorage"; null: torch has none, bytes and a dtype are written
  const char* dtype;
};

StorageName storage_name(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return {"DoubleStorage", "float64"};
    case DType::kF32:
      return {"FloatStorage", "float32"};
    case DType::kF16:
      return {"HalfStorage", "float16"};
    case DType::kBF16:
      return {"BFloat16Storage", "bfloat16"};
    case DType::kF8E4M3:
      return {nullptr, "float8_e4m3fn"};
    case DType::kF8E5M2:
      return {nullptr, "float8_e5m2"};
    case DType::kI64:
      return {"LongStorage", "int64"};
    case DType::kI32:
      return {"IntStorage", "int32"};
    case DType::kI16:
      return {"ShortStorage", "int16"};
    case DType::kI8:
      return {"CharStorage", "int8"};
    case DType::kU64:
      return {nullptr, "uint64"};
    case DType::kU32:
      return {nullptr, "uint32"};
    case DType::kU16:
      return {nullptr, "uint16"};
    case DType::kU8:
      return {"ByteStorage", "uint8"};
    case DType::kBool:
      return {"BoolStorage", "bool"};
  }
  throw Error("unknown dtype");
}

// Emits pickle protocol 2, as torch.save does, but without the memo, which readers do not need.
class PickleWriter {
 public:
  PickleWriter() { raw("\x80\x02"); }

  void raw(std::string_view opcodes) { text_ += opcodes; }
  void name(std::string_view module, std::string_view name) {
    text_ += fmt::format("c{}\n{}\n", module, name);
  }
  void text(std::string_view text) {
    put<uint8_t>('X');
    put<uint32_t>(static_cast<uint32_t>(text.size()));
    raw(text);
  }
  void integer(int64_t value) {
    if (value >= 0 && value <= UINT8_MAX) {
      put<uint8_t>('K');
      put<uint8_t>(static_cast<uint8_t>(value));
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      put<uint8_t>('J');
      put<int32_t>(static_cast<int32_t>(value));
    } else {
      raw("\x8a\x08");
      put<int64_t>(value);
    }
  }
  void floating(double value) {
    put<uint8_t>('G');
    put<uint64_t>(__builtin_bswap64(std::bit_cast<uint64_t>(value)));
  }
  void integers(const std::vector<int64_t>& values) {
    raw("(");
    for (const int64_t value : values) integer(value);
    raw("t");
  }
  void empty_ordered_dict() {
    name("collections", "OrderedDict");
    raw(")R");
  }

  // key names the entry data/<key> that holds the bytes.
  void tensor(const TensorInfo& info, std::string_view key) {
    const StorageName names = storage_name(info.dtype);
    const bool typed = names.storage != nullptr;
    name("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    raw("((");
    text("storage");
    typed ? name("torch", names.storage) : name("torch.storage", "UntypedStorage");
    text(key);
    text("cpu");
    integer(typed ? info.numel() : static_cast<int64_t>(info.bytes()));
    raw("tQ");
    integer(0);
    integers(info.shape);
    integers(contiguous_strides(info.shape));
    raw("\x89");  // requires_grad
    empty_ordered_dict();
    if (!typed) name("torch", names.dtype);
    raw("tR");
  }

  std::string finish() {
    raw(".");
    return std::move(text_);
  }

 private:
  template <class T>
  void put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }

  static std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& shape) {
    std::vector<int64_t> strides(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) {
      strides[i - 1] = strides[i] * std::max<int64_t>(shape[i], 1);
    }
    return strides;
  }

  std::string text_;
};

std::string checkpoint_pickle(const std::vector<TensorToWrite>& tensors,
                              const CheckpointExtras& extras) {
  PickleWriter pickle;
  if (extras.wrap_state_dict) {
    pickle.raw("}(");
    pickle.text("state_dict");
  }
  pickle.empty_ordered_dict();
  pickle.raw("(");
  for (size_t i = 0; i < tensors.size(); ++i) {
    pickle.text(tensors[i].info.name);
    pickle.tensor(tensors[i].info, std::to_string(i));
  }
  pickle.raw("u");
  if (extras.wrap_state_dict) {
    pickle.text("epoch");
    pickle.integer(extras.epoch);
    pickle.text("global_step");
    pickle.integer(extras.global_step);
    pickle.raw("u");
  }
  return pickle.finish();
}

// Writes one value after the other, dictionaries and lists around those within them.
class NestedPickle {
 public:
  explicit NestedPickle(const std::vector<TensorToWrite>& tensors) : tensors_(tensors) {}

  std::string write(const NestedValue& root) {
    add(root);
    return pickle_.finish();
  }

 private:
  void add(const NestedValue& v) {
    std::visit([this](const auto& value) { add(value); }, v.value);
  }
  void add(std::monostate) { pickle_.raw("N"); }
  void add(bool value) { pickle_.raw(value ? "\x88" : "\x89"); }
  void add(int64_t value) { pickle_.integer(value); }
  void add(double value) { pickle_.floating(value); }
  void add(const std::string& value) { pickle_.text(value); }
  void add(const NestedValue::Tensor& tensor) {
    pickle_.tensor(tensors_.at(tensor.number).info, std::to_string(tensor.number));
  }
  void add(const NestedValue::List& list) {
    pickle_.raw("](");
    for (const NestedValue& item : list) add(item);
    pickle_.raw("e");
  }
  void add(const NestedValue::Dict& dict) {
    pickle_.raw("}(");
    for (const auto& [key, value] : dict) {
      add(key);
      add(value);
    }
    pickle_.raw("u");
  }

  const std::vector<TensorToWrite>& tensors_;
  PickleWriter pickle_;
};

void check_for_checkpoint(const std::filesystem::path& path,
                          const std::vector<TensorToWrite>& tensors) {
  check_tensors_to_write(path, tensors);
  if (tensors.size() > kMaxZipEntries - 8) {
    throw Error(fmt::format("{} tensors are more than a checkpoint may hold here", tensors.size()),
                path.string());
  }
  for (const TensorToWrite& tensor : tensors) {
    if (!is_utf8(tensor.info.name)) {
      throw Error("the name of a tensor to be written is not UTF-8", path.string());
    }
  }
}

// The zip form, with tensor i's bytes in data/i.
void write_archive(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                   std::string_view pickle) {
  AtomicFile file(path);
  StoredZipWriter zip(file);
  const std::string folder = kFolder;
  zip.add(folder + "data.pkl", pickle);
  zip.add(folder + "byteorder", "little");
  for (size_t i = 0; i < tensors.size(); ++i) {
    zip.begin(folder + "data/" + std::to_string(i), tensors[i].info.bytes());
    produce_exactly(path, tensors[i], [&](std::span<const std::byte> bytes) { zip.append(bytes); });
    zip.end();
  }
  zip.add(folder + "version", "3\n");
  zip.finish();
  file.commit();
}

}  // namespace

void write_torch_checkpoint(const std::filesystem::path& path,
                            const std::vector<TensorToWrite>& tensors,
                            const CheckpointExtras& extras) {
  check_for_checkpoint(path, tensors);
  write_archive(path, tensors, checkpoint_pickle(tensors, extras));
}

void write_nested_checkpoint(const std::filesystem::path& path,
                             const std::vector<TensorToWrite>& tensors, const NestedValue& root) {
  check_for_checkpoint(path, tensors);
  write_archive(path, tensors, NestedPickle(tensors).write(root));
}

}  // namespace sdtune
