#include "formats/npz.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "formats/npy_header.h"
#include "formats/stored_zip_writer.h"
#include "formats/zip_records.h"

namespace sdtune {
namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr const char* kHint =
    "The file is damaged or was packed by another program. Make it again with numpy.savez or by "
    "caching once more.";
constexpr uint16_t kDeflated = 8;

std::string place_of(const fs::path& path, const std::string& array) {
  return fmt::format("{}, array '{}'", path.string(), array);
}

void check_archive(std::span<const std::byte> bytes, const fs::path& path,
                   const NpzLimits& limits) {
  if (bytes.size() > limits.file_bytes) {
    throw Error(fmt::format("the file has {} bytes; {} are allowed for an .npz", bytes.size(),
                            limits.file_bytes),
                path.string());
  }
  // numpy.savez_compressed compresses every entry, so the first tells.
  uint16_t method = 0;
  if (bytes.size() >= zip::kLocalHeaderBytes) std::memcpy(&method, bytes.data() + 8, sizeof method);
  if (method == kDeflated) {
    throw Error("the arrays in this file are compressed, which is not read", path.string(),
                "Make it again with numpy.savez instead of numpy.savez_compressed.");
  }
}

// The zip reader's words speak of checkpoints where they say what to do.
std::vector<ZipEntry> list_entries(std::span<const std::byte> bytes, const fs::path& path) {
  try {
    return list_stored_zip(bytes, path.string());
  } catch (const Error& error) {
    throw Error(error.what(), path.string(), kHint);
  }
}

float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t fraction = half & 0x3ff;
  float value = 0;
  if (exponent == 0) {  // subnormal: the fraction counts units of 2^-24
    value = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  const uint32_t wide = exponent == 0x1f ? 0xffu : exponent + 112;
  const uint32_t bits = sign | wide << 23 | fraction << 13;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class Stored, class Out, class Convert>
std::vector<Out> convert(const NpyArray& array, Convert to) {
  std::vector<Out> values(array.bytes.size() / sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, array.bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = to(stored);
  }
  return values;
}

template <class Stored, class Out>
std::vector<Out> convert(const NpyArray& array) {
  return convert<Stored, Out>(array, [](Stored stored) { return static_cast<Out>(stored); });
}

[[noreturn]] void refuse_type(const NpyArray& array, const char* wanted, const std::string& where) {
  throw Error(
      fmt::format("the array '{}' has the type '{}', not {}", array.name, array.descr, wanted),
      where, kHint);
}

template <class T>
NpyArray array_of(std::string name, const char* descr, std::vector<int64_t> shape,
                  std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {std::move(name), descr, std::move(shape), {bytes.begin(), bytes.end()}};
}

}  // namespace

NpzFile::NpzFile(const fs::path& path, const NpzLimits& limits) : file_(path) {
  const auto bytes = file_.bytes();
  check_archive(bytes, path, limits);
  entries_ = list_entries(bytes, path);
  if (entries_.size() > limits.arrays) {
    throw Error(
        fmt::format("the file holds {} arrays; {} are allowed", entries_.size(), limits.arrays),
        path.string());
  }
  arrays_.reserve(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    std::string name = entries_[i].name;
    if (name.size() <= kSuffix.size() || !name.ends_with(kSuffix)) {
      throw Error(fmt::format("the file holds '{}', which is no array", name), path.string(),
                  kHint);
    }
    name.resize(name.size() - kSuffix.size());
    NpyHeader header = parse_npy_header(content_of(i), place_of(path, name));
    arrays_.push_back({std::move(name), std::move(header.descr), std::move(header.shape)});
  }
}

std::span<const std::byte> NpzFile::content_of(size_t index) const {
  const ZipEntry& entry = entries_[index];
  try {
    return file_.bytes().subspan(zip_entry_offset(file_.bytes(), entry, file_.path().string()),
                                 entry.size);
  } catch (const Error& error) {
    throw Error(error.what(), file_.path().string(), kHint);
  }
}

const NpyInfo* NpzFile::find(const std::string& name) const {
  const auto found = std::find_if(arrays_.begin(), arrays_.end(),
                                  [&](const NpyInfo& info) { return info.name == name; });
  return found == arrays_.end() ? nullptr : &*found;
}

NpyArray NpzFile::read(const std::string& name) const {
  const NpyInfo* info = find(name);
  if (info == nullptr) {
    throw Error(fmt::format("the file holds no array '{}'", name), file_.path().string(), kHint);
  }
  const auto index = static_cast<size_t>(info - arrays_.data());
  const auto content = content_of(index);
  const std::string where = place_of(file_.path(), name);
  if (crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()) !=
      entries_[index].crc) {
    throw Error("the array's checksum is wrong", where, kHint);
  }
  const auto values = content.subspan(parse_npy_header(content, where).header_bytes);
  return {info->name, info->descr, info->shape, {values.begin(), values.end()}};
}

std::vector<NpyArray> read_npz(const fs::path& path, const NpzLimits& limits) {
  const NpzFile file(path, limits);
  std::vector<NpyArray> arrays;
  arrays.reserve(file.arrays().size());
  for (const NpyInfo& info : file.arrays()) arrays.push_back(file.read(info.name));
  return arrays;
}

void write_npz(const fs::path& path, const std::vector<NpyArray>& arrays) {
  for (const NpyArray& array : arrays) {
    const std::string where = place_of(path, array.name);
    if (array.name.empty()) throw Error("an array without a name cannot be written", where);
    if (npy_value_bytes(array.descr, array.shape, where) != array.bytes.size()) {
      throw Error("the array's bytes are not its shape times its type", where);
    }
  }
  AtomicFile file(path);
  StoredZipWriter zip(file);
  for (const NpyArray& array : arrays) {
    const std::string header = npy_header_text(array.descr, array.shape);
    zip.begin(array.name + std::string(kSuffix), header.size() + array.bytes.size());
    zip.append(std::as_bytes(std::span(header)));
    zip.append(array.bytes);
    zip.end();
  }
  zip.finish();
  file.commit();
}

std::vector<float> float_values(const NpyArray& array, const std::string& where) {
  if (array.descr == "<f4") return convert<float, float>(array);
  if (array.descr == "<f8") return convert<double, float>(array);
  if (array.descr == "<f2") return convert<uint16_t, float>(array, half_to_float);
  refuse_type(array, "a floating one", where);
}

std::vector<int64_t> integer_values(const NpyArray& array, const std::string& where) {
  if (array.descr == "<i8") return convert<int64_t, int64_t>(array);
  if (array.descr == "<i4") return convert<int32_t, int64_t>(array);
  if (array.descr == "<i2") return convert<int16_t, int64_t>(array);
  if (array.descr == "|i1") return convert<int8_t, int64_t>(array);
  if (array.descr == "<u4") return convert<uint32_t, int64_t>(array);
  if (array.descr == "<u2") return convert<uint16_t, int64_t>(array);
  if (array.descr == "|u1") return convert<uint8_t, int64_t>(array);
  if (array.descr == "<u8") {
    return convert<uint64_t, int64_t>(array, [&](uint64_t stored) {
      if (stored > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        throw Error(fmt::format("the array '{}' holds a number that is too large", array.name),
                    where, kHint);
      }
      return static_cast<int64_t>(stored);
    });
  }
  refuse_type(array, "one of whole numbers", where);
}

NpyArray make_npy(std::string name, std::vector<int64_t> shape, std::span<const float> values) {
  return array_of(std::move(name), "<f4", std::move(shape), values);
}
NpyArray make_npy(std::string name, std::vector<int64_t> shape, std::span<const double> values) {
  return array_of(std::move(name), "<f8", std::move(shape), values);
}
NpyArray make_npy(std::string name, std::vector<int64_t> shape, std::span<const int64_t> values) {
  return array_of(std::move(name), "<i8", std::move(shape), values);
}

}  // namespace sdtune
