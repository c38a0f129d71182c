// Numpy's .npz archives, in and out: cached latents, masks, and what other tools of this field keep
// in them. Numbers only, little-endian and row-major, entries stored plainly as numpy.savez stores
// them. Everything is checked before it is used; no pickle is ever looked at. Formats: PKWARE
// APPNOTE 6.3, numpy.lib.format versions 1.0 to 3.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "formats/stored_zip.h"

namespace sdtune {

struct NpyInfo {
  std::string name;   // without ".npy"
  std::string descr;  // "<f4", "|u1", "<i8": '<' or '|', then f 2 4 8, i or u 1 2 4 8, b 1
  std::vector<int64_t> shape;
};

struct NpyArray {
  std::string name;
  std::string descr;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};

struct NpzLimits {
  uint64_t file_bytes = 1ull << 30;
  uint64_t arrays = 1024;
};

// An archive whose directory and array headers have been checked; the arrays' bytes are read, and
// their checksums compared, only when asked for: a check of 100,000 caches opens them all and reads
// none. Errors name the file and the array.
class NpzFile {
 public:
  explicit NpzFile(const std::filesystem::path& path, const NpzLimits& limits = {});

  const std::vector<NpyInfo>& arrays() const { return arrays_; }  // in the file's order
  const NpyInfo* find(const std::string& name) const;             // null when absent
  NpyArray read(const std::string& name) const;

 private:
  std::span<const std::byte> content_of(size_t index) const;

  MappedFile file_;
  std::vector<ZipEntry> entries_;
  std::vector<NpyInfo> arrays_;  // of the entry at the same place
};

// All arrays with their bytes, in the file's order.
std::vector<NpyArray> read_npz(const std::filesystem::path& path, const NpzLimits& limits = {});

// Replaces `path` atomically. numpy.load(path, allow_pickle=False) reads it; equal arrays give
// equal bytes. Throws Error when an array's bytes are not its shape times its type, or a name is
// empty.
void write_npz(const std::filesystem::path& path, const std::vector<NpyArray>& arrays);

// The values of a floating array (<f2, <f4, <f8) as float, of a whole-number array as int64. Error
// naming `where` and the array for other types, and for whole numbers above the int64 range.
std::vector<float> float_values(const NpyArray& array, const std::string& where);
std::vector<int64_t> integer_values(const NpyArray& array, const std::string& where);

// Arrays of types <f4, <f8 and <i8. `values` has as many as the shape says (checked on writing).
NpyArray make_npy(std::string name, std::vector<int64_t> shape, std::span<const float> values);
NpyArray make_npy(std::string name, std::vector<int64_t> shape, std::span<const double> values);
NpyArray make_npy(std::string name, std::vector<int64_t> shape, std::span<const int64_t> values);

}  // namespace sdtune
