// Lists a zip archive whose entries are stored, as PyTorch writes it, from its bytes. Stricter than
// zip: the archive is the whole file, entries lie end to end, nothing is compressed, so there is
// nothing to inflate and no byte that two readers could take for different things. Format: PKWARE
// APPNOTE 6.3 §4.3-4.5. An entry's own header is looked at when its bytes are asked for: visiting a
// thousand of them in a file of gigabytes takes seconds from a cold disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sdtune {

inline constexpr uint64_t kMaxZipEntries = 1 << 17;

struct ZipEntry {
  std::string name;    // relative, without "..", "\" or empty parts; unique
  uint64_t begin = 0;  // its header, bytes and descriptor lie in [begin, end), which is its alone
  uint64_t end = 0;
  uint64_t size = 0;
  uint32_t crc = 0;    // as recorded; the bytes themselves are not read here
  uint16_t flags = 0;  // of the directory
};

// In the order of the central directory. Throws Error naming `where`.
std::vector<ZipEntry> list_stored_zip(std::span<const std::byte> archive, const std::string& where);

// Where the bytes of a listed entry lie, from the start of the archive; they lie inside it. Throws
// Error naming `where` when the entry's own header contradicts the directory.
uint64_t zip_entry_offset(std::span<const std::byte> archive, const ZipEntry& entry,
                          const std::string& where);

}  // namespace sdtune
