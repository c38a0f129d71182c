#include "formats/stored_zip.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "formats/byte_cursor.h"
#include "formats/zip_records.h"

namespace sdtune {
namespace {

constexpr const char* kHint =
    "The file is damaged, was packed again by another program, or is hostile. Get it again from a "
    "source you trust, or take its .safetensors version.";

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t records = 0;  // where the end records begin
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> archive, const std::string& where)
      : archive_(archive), where_(where) {}

  std::vector<ZipEntry> list() {
    const Directory directory = find_directory();
    std::vector<ZipEntry> entries = read_directory(directory);
    check_layout(entries, directory.offset);
    return entries;
  }

  uint64_t offset_of(const ZipEntry& entry) const {
    ByteCursor cursor(archive_.subspan(entry.begin, entry.end - entry.begin), "zip entry", where_);
    const uint32_t signature = cursor.number<uint32_t>();
    cursor.skip(2);  // version
    const uint16_t flags = cursor.number<uint16_t>();
    const uint16_t method = cursor.number<uint16_t>();
    cursor.skip(4 + 4);  // time, date, CRC
    uint64_t packed = cursor.number<uint32_t>();
    uint64_t size = cursor.number<uint32_t>();
    const uint16_t name_bytes = cursor.number<uint16_t>();
    const uint16_t extra_bytes = cursor.number<uint16_t>();
    const std::string_view name = cursor.text(name_bytes);
    ByteCursor extra(cursor.take(extra_bytes), "zip extra field", where_);
    const bool later = (flags & zip::kHasDescriptor) != 0;
    widen(extra, size, packed, nullptr);
    const bool unstated = later && packed == 0 && size == 0;
    if (signature != zip::kLocalHeader || method != 0 || name != entry.name ||
        flags != entry.flags || (!unstated && (packed != entry.size || size != entry.size))) {
      refuse(fmt::format("says two different things about '{}'", entry.name));
    }
    const uint64_t offset = entry.begin + cursor.position();
    cursor.skip(entry.size);
    check_descriptor(cursor, later, entry.name);
    return offset;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error("the zip archive " + what, where_, kHint);
  }

  ByteCursor at(uint64_t offset, std::string_view what) const {
    return ByteCursor(archive_.subspan(std::min<uint64_t>(offset, archive_.size())), what, where_);
  }

  Directory find_directory() const {
    if (archive_.size() < zip::kEndBytes) refuse("is too short");
    const uint64_t end_offset = archive_.size() - zip::kEndBytes;
    ByteCursor end = at(end_offset, "zip end record");
    if (end.number<uint32_t>() != zip::kEnd) {
      refuse("does not end with its end record: it is cut off, or something was appended to it");
    }
    const uint16_t disk = end.number<uint16_t>();
    const uint16_t directory_disk = end.number<uint16_t>();
    const uint16_t entries_here = end.number<uint16_t>();
    Directory directory;
    directory.entries = end.number<uint16_t>();
    directory.size = end.number<uint32_t>();
    directory.offset = end.number<uint32_t>();
    directory.records = end_offset;
    if ((disk != 0 && disk != zip::kIn64) || directory_disk != disk ||
        entries_here != directory.entries) {
      refuse("is split over several files");
    }
    read_zip64_end(end_offset, directory);
    if (directory.entries > kMaxZipEntries) {
      refuse(fmt::format("lists {} entries; {} are allowed", directory.entries, kMaxZipEntries));
    }
    if (directory.size > directory.records ||
        directory.offset != directory.records - directory.size) {
      refuse("has a directory that does not lie where its end record says");
    }
    return directory;
  }

  // The zip64 records, where they stand, replace what the short record could not hold.
  void read_zip64_end(uint64_t end_offset, Directory& directory) const {
    const uint64_t needed = zip::kEnd64LocatorBytes + zip::kEnd64Bytes;
    if (end_offset < needed) return;
    ByteCursor locator = at(end_offset - zip::kEnd64LocatorBytes, "zip64 locator");
    if (locator.number<uint32_t>() != zip::kEnd64Locator) return;
    const uint32_t disk = locator.number<uint32_t>();
    const uint64_t record_offset = locator.number<uint64_t>();
    const uint32_t disks = locator.number<uint32_t>();
    if (disk != 0 || disks > 1) refuse("is split over several files");
    if (record_offset != end_offset - needed) refuse("has a misplaced zip64 record");
    ByteCursor record = at(record_offset, "zip64 end record");
    const uint32_t signature = record.number<uint32_t>();
    const uint64_t rest = record.number<uint64_t>();
    if (signature != zip::kEnd64 || rest != zip::kEnd64Bytes - 12) {
      refuse("has a malformed zip64 record");
    }
    record.skip(4 + 4 + 4);  // versions, disk, disk of the directory
    const uint64_t entries_here = record.number<uint64_t>();
    const Directory whole{record.number<uint64_t>(), 0, record.number<uint64_t>(), record_offset};
    const uint64_t offset = record.number<uint64_t>();
    const auto agree = [](uint64_t brief, uint64_t full, uint64_t see64) {
      return brief == full || brief == see64;
    };
    if (entries_here != whole.entries || !agree(directory.entries, whole.entries, zip::kIn64) ||
        !agree(directory.size, whole.size, zip::kIn64Long) ||
        !agree(directory.offset, offset, zip::kIn64Long)) {
      refuse("has end records that contradict each other");
    }
    directory = {whole.entries, offset, whole.size, record_offset};
  }

  std::vector<ZipEntry> read_directory(const Directory& directory) const {
    ByteCursor cursor(archive_.subspan(directory.offset, directory.size), "zip directory", where_);
    std::vector<ZipEntry> found;
    std::unordered_set<std::string_view> names;
    // Each entry takes 46 bytes at least, so a count that lies cannot make this reserve much.
    found.reserve(std::min<uint64_t>(directory.entries, directory.size / 46));
    for (uint64_t i = 0; i < directory.entries; ++i) {
      found.push_back(read_central(cursor, names));
    }
    if (cursor.remaining() != 0) refuse("has bytes in its directory that belong to no entry");
    return found;
  }

  ZipEntry read_central(ByteCursor& cursor, std::unordered_set<std::string_view>& names) const {
    if (cursor.number<uint32_t>() != zip::kCentralHeader) refuse("has a malformed directory");
    cursor.skip(2 + 2);  // versions
    ZipEntry entry;
    entry.flags = cursor.number<uint16_t>();
    const uint16_t method = cursor.number<uint16_t>();
    cursor.skip(4);  // time and date
    entry.crc = cursor.number<uint32_t>();
    uint64_t packed = cursor.number<uint32_t>();
    entry.size = cursor.number<uint32_t>();
    const uint16_t name_bytes = cursor.number<uint16_t>();
    const uint16_t extra_bytes = cursor.number<uint16_t>();
    const uint16_t comment_bytes = cursor.number<uint16_t>();
    const uint16_t disk = cursor.number<uint16_t>();
    cursor.skip(2 + 4);  // attributes
    entry.begin = cursor.number<uint32_t>();
    const std::string_view name = cursor.text(name_bytes);
    check_name(name);
    entry.name = name;
    if (!names.insert(name).second) refuse(fmt::format("holds '{}' twice", name));
    ByteCursor extra(cursor.take(extra_bytes), "zip extra field", where_);
    widen(extra, entry.size, packed, &entry.begin);
    cursor.skip(comment_bytes);
    if (method != 0 || packed != entry.size) {
      refuse(fmt::format(
          "holds '{}' in compressed form, as TorchScript programs and repacked archives do; a "
          "checkpoint's entries are stored plainly",
          name));
    }
    if (disk != 0) refuse("is split over several files");
    if (entry.flags & ~(zip::kHasDescriptor | zip::kUtf8Names)) {
      refuse(fmt::format("holds '{}' in encrypted or otherwise unusual form", name));
    }
    return entry;
  }

  // Replaces numbers that are marked "see zip64" by those in the zip64 extra field.
  void widen(ByteCursor& extra, uint64_t& size, uint64_t& packed, uint64_t* header_offset) const {
    const bool needs = size == zip::kIn64Long || packed == zip::kIn64Long ||
                       (header_offset != nullptr && *header_offset == zip::kIn64Long);
    bool found = false;
    while (extra.remaining() >= 4) {
      const uint16_t id = extra.number<uint16_t>();
      const uint16_t bytes = extra.number<uint16_t>();
      const std::span<const std::byte> content = extra.take(bytes);
      if (id != zip::kZip64Extra) continue;
      if (std::exchange(found, true)) refuse("has an entry with two zip64 fields");
      ByteCursor wide(content, "zip64 extra field", where_);
      if (size == zip::kIn64Long) size = wide.number<uint64_t>();
      if (packed == zip::kIn64Long) packed = wide.number<uint64_t>();
      if (header_offset != nullptr && *header_offset == zip::kIn64Long) {
        *header_offset = wide.number<uint64_t>();
      }
    }
    if (needs && !found) refuse("has an entry without the zip64 field that it announces");
  }

  void check_name(std::string_view name) const {
    bool good = !name.empty() && name.size() <= 1024;
    for (const char c : name) good = good && c != '\\' && c != ':' && static_cast<uint8_t>(c) >= 32;
    for (size_t begin = 0; good && begin <= name.size();) {
      const size_t end = std::min(name.find('/', begin), name.size());
      const std::string_view part = name.substr(begin, end - begin);
      good = !part.empty() && part != "." && part != "..";
      begin = end + 1;
    }
    if (!good) refuse("holds an entry whose name is no plain relative path");
  }

  // Entries must lie end to end from byte 0 to the directory. Fills in where each ends.
  void check_layout(std::vector<ZipEntry>& found, uint64_t directory_offset) const {
    std::vector<ZipEntry*> order;
    order.reserve(found.size());
    for (ZipEntry& entry : found) order.push_back(&entry);
    std::sort(order.begin(), order.end(),
              [](const ZipEntry* a, const ZipEntry* b) { return a->begin < b->begin; });
    if (order.empty() || order.front()->begin != 0) refuse("does not begin with its first entry");
    for (size_t i = 0; i < order.size(); ++i) {
      ZipEntry& entry = *order[i];
      entry.end = i + 1 < order.size() ? order[i + 1]->begin : directory_offset;
      if (entry.begin >= entry.end || entry.size > entry.end - entry.begin) {
        refuse(fmt::format("has overlaps at '{}'", entry.name));
      }
    }
  }

  // What follows an entry's bytes is nothing or its data descriptor, in one of four forms: with or
  // without signature, with sizes of 32 or 64 bits. Its numbers only repeat the directory's.
  void check_descriptor(ByteCursor& cursor, bool allowed, const std::string& name) const {
    const uint64_t left = cursor.remaining();
    if (left == 0) return;
    const bool plain = left == 12 || left == 20;
    const bool with_signature =
        (left == 16 || left == 24) && cursor.number<uint32_t>() == zip::kDataDescriptor;
    if (!allowed || (!plain && !with_signature)) {
      refuse(fmt::format("has bytes after '{}' that belong to no entry", name));
    }
  }

  std::span<const std::byte> archive_;
  const std::string& where_;
};

}  // namespace

std::vector<ZipEntry> list_stored_zip(std::span<const std::byte> archive,
                                      const std::string& where) {
  return ZipReader(archive, where).list();
}

uint64_t zip_entry_offset(std::span<const std::byte> archive, const ZipEntry& entry,
                          const std::string& where) {
  return ZipReader(archive, where).offset_of(entry);
}

}  // namespace sdtune
