// Writes a zip archive of stored entries as a stream, each entry's bytes 64-byte aligned as PyTorch
// aligns them. Sizes are known beforehand; checksums are patched into the headers afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace sdtune {

class StoredZipWriter {
 public:
  // Writes from the file's present position, which must be its start. The caller commits the file.
  explicit StoredZipWriter(AtomicFile& file) : file_(file) {}

  void add(std::string name, std::string_view bytes);

  // An entry in pieces: begin, append until `size` bytes are there, end.
  void begin(std::string name, uint64_t size);
  void append(std::span<const std::byte> bytes);
  void end();

  void finish();  // the directory; nothing may follow

 private:
  struct Entry {
    std::string name;
    uint64_t header_offset = 0;
    uint64_t size = 0;
    uint32_t crc = 0;
  };

  AtomicFile& file_;
  std::vector<Entry> entries_;
};

}  // namespace sdtune
