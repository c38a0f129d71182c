// Lists a zip archive whose entries are stored, as PyTorch writes it, from its bytes. Stricter than
// zip: the archive is the whole file, entries lie end to end, nothing is compressed, so there is
// nothing to inflate and no byte that two readers could take for different things. Format: PKWARE
// APPNOTE 6.3 §4.3-4.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sdtune {

inline constexpr uint64_t kMaxZipEntries = 1 << 17;

struct ZipEntry {
  std::string name;     // relative, without "..", "\" or empty parts; unique
  uint64_t offset = 0;  // of its bytes, from the start of the archive; they lie inside it
  uint64_t size = 0;
  uint32_t crc = 0;  // as recorded; the bytes themselves are not read here
};

// In the order of the central directory. Throws Error naming `where`.
std::vector<ZipEntry> list_stored_zip(std::span<const std::byte> archive, const std::string& where);

}  // namespace sdtune
