#include "train/tensorboard_writer.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <chrono>
#include <string_view>

#include "base/system.h"

namespace sdtune {

namespace {

// CRC-32C (Castagnoli), reflected, a byte at a time.
constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0);
    table[byte] = value;
  }
  return table;
}

uint32_t masked_crc(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(byte)) & 255] ^ (crc >> 8);
  return std::rotr(~crc, 15) + 0xA282EAD8u;
}

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>((value >> (8 * i)) & 255);
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>((value & 127) | 128);
  return bytes + static_cast<char>(value);
}

// A field's number and its wire type: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
std::string key(int field, int wire_type) {
  return varint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
}

std::string int_field(int field, int64_t value) {
  return key(field, 0) + varint(static_cast<uint64_t>(value));
}

std::string double_field(int field, double value) {
  return key(field, 1) + little_endian(std::bit_cast<uint64_t>(value));
}

std::string float_field(int field, float value) {
  return key(field, 5) + little_endian(std::bit_cast<uint32_t>(value));
}

std::string bytes_field(int field, std::string_view value) {
  return key(field, 2) + varint(value.size()) + std::string(value);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

namespace event {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;
}
namespace summary {
constexpr int kValue = 1, kTag = 1, kSimpleValue = 2, kTensor = 8, kMetadata = 9;
constexpr int kPluginData = 1, kPluginName = 1;
}  // namespace summary
namespace tensor {
constexpr int kDtype = 1, kShape = 2, kStringValue = 8, kDimension = 2, kSize = 1, kTypeString = 7;
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder,
                                     const std::string& suffix) {
  make_writable_folder(folder);
  const std::string name = fmt::format("events.out.tfevents.{:.0f}.{}.{}.0{}", wall_time(),
                                       host_name(), process_id(), suffix);
  file_ = std::make_unique<AppendFile>(folder / name);
  write_event(bytes_field(event::kFileVersion, "brain.Event:2"));
}

void TensorBoardWriter::write_event(const std::string& fields) {
  const std::string message = double_field(event::kWallTime, wall_time()) + fields;
  const std::string length = little_endian(static_cast<uint64_t>(message.size()));
  file_->append_bytes(length + little_endian(masked_crc(length)) + message +
                      little_endian(masked_crc(message)));
}

void TensorBoardWriter::scalars(int64_t step, std::span<const Scalar> values) {
  std::string all;
  for (const Scalar& scalar : values) {
    all += bytes_field(summary::kValue,
                       bytes_field(summary::kTag, scalar.tag) +
                           float_field(summary::kSimpleValue, static_cast<float>(scalar.value)));
  }
  write_event(int_field(event::kStep, step) + bytes_field(event::kSummary, all));
}

void TensorBoardWriter::text(const std::string& tag, const std::string& markdown) {
  const std::string one_element =
      bytes_field(tensor::kShape, bytes_field(tensor::kDimension, int_field(tensor::kSize, 1)));
  const std::string value =
      bytes_field(summary::kTag, tag + "/text_summary") +
      bytes_field(summary::kMetadata,
                  bytes_field(summary::kPluginData, bytes_field(summary::kPluginName, "text"))) +
      bytes_field(summary::kTensor, int_field(tensor::kDtype, tensor::kTypeString) + one_element +
                                        bytes_field(tensor::kStringValue, markdown));
  write_event(bytes_field(event::kSummary, bytes_field(summary::kValue, value)));
}

}  // namespace sdtune
