#include "formats/safetensors.h"

#include <fmt/ranges.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors_header.h"
#include "formats/tensor_output.h"

namespace sdtune {
namespace {

constexpr const char* kHint =
    "The file is damaged or was not fully downloaded. Get it again from its source.";
constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kAlignment = 64;

class SafetensorsFile final : public WeightFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path) : file_(path) {
    path_ = path;
    const std::span<const std::byte> bytes = file_.bytes();
    const uint64_t header_bytes = header_length(bytes);
    data_begin_ = kLengthBytes + header_bytes;
    const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                                header_bytes);
    SafetensorsHeader header =
        parse_safetensors_header(json, bytes.size() - data_begin_, path.string());
    tensors_.reserve(header.entries.size());
    begins_.reserve(header.entries.size());
    for (SafetensorsEntry& entry : header.entries) {
      begins_.push_back(entry.begin);
      tensors_.push_back(std::move(entry.info));
    }
    metadata_ = std::move(header.metadata);
    index();
  }

 private:
  void copy(size_t number, uint64_t begin, std::span<std::byte> out) const override {
    file_.read(data_begin_ + begins_[number] + begin, out);
  }

  uint64_t header_length(std::span<const std::byte> bytes) const {
    if (bytes.size() < kLengthBytes) {
      throw Error("the file is too short to be safetensors", path_.string(), kHint);
    }
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), kLengthBytes);
    if (length > kMaxSafetensorsHeader) {
      throw Error(fmt::format("the file claims a header of {} bytes; {} are allowed", length,
                              kMaxSafetensorsHeader),
                  path_.string(), "This is no safetensors file, or it is damaged.");
    }
    if (length > bytes.size() - kLengthBytes) {
      throw Error(fmt::format("the file ends inside its header of {} bytes", length),
                  path_.string(), kHint);
    }
    return length;
  }

  MappedFile file_;
  uint64_t data_begin_ = 0;
  std::vector<uint64_t> begins_;  // parallel to tensors_
};

// JSON text in quotes; Error when it is not UTF-8.
std::string quoted(const std::string& text, const std::filesystem::path& path) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error("a name or a metadata value to be written is not UTF-8", path.string());
  }
}

std::string header_text(const std::filesystem::path& path,
                        const std::vector<TensorToWrite>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      text += quoted(key, path) + ':' + quoted(value, path) + ',';
    }
    text.back() = '}';
    text += ',';
  }
  uint64_t begin = 0;
  for (const TensorToWrite& tensor : tensors) {
    const TensorInfo& info = tensor.info;
    const uint64_t end = begin + info.bytes();
    text += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                        quoted(info.name, path), dtype_name(info.dtype), fmt::join(info.shape, ","),
                        begin, end);
    begin = end;
  }
  if (text.size() == 1) return "{}";
  text.back() = '}';
  return text;
}

}  // namespace

std::unique_ptr<WeightFile> open_safetensors(const std::filesystem::path& path) {
  return std::make_unique<SafetensorsFile>(path);
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  check_tensors_to_write(path, tensors);
  if (tensors.size() > kMaxSafetensorsTensors) {
    throw Error(
        fmt::format("{} tensors are more than a safetensors file may hold here", tensors.size()),
        path.string());
  }
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.info.name == "__metadata__") {
      throw Error("no tensor may be named '__metadata__' in safetensors", path.string());
    }
  }
  std::string header = header_text(path, tensors, metadata);
  header.resize(
      (kLengthBytes + header.size() + kAlignment - 1) / kAlignment * kAlignment - kLengthBytes,
      ' ');
  if (header.size() > kMaxSafetensorsHeader) {
    throw Error(fmt::format("names and metadata make a header of {} bytes; {} are allowed",
                            header.size(), kMaxSafetensorsHeader),
                path.string());
  }
  AtomicFile file(path);
  const uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const TensorToWrite& tensor : tensors) {
    produce_exactly(path, tensor, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  }
  file.commit();
}

}  // namespace sdtune
