#include "formats/stored_zip_writer.h"

#include <zlib.h>

#include <algorithm>
#include <type_traits>

#include "formats/zip_records.h"

namespace sdtune {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint16_t kVersion64 = 45;    // of the format, needed for zip64
constexpr uint16_t kDosDate = 0x0021;  // 1980-01-01, so that equal contents give equal files
constexpr uint64_t kCrcInHeader = 14;  // offset of the checksum in a local header

template <class T>
void put(std::string& out, std::type_identity_t<T> value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

uint32_t brief(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, zip::kIn64Long));
}

// What both headers of an entry begin with after their signatures and versions.
void put_facts(std::string& out, uint32_t crc, uint64_t size, size_t name_bytes,
               size_t extra_bytes) {
  put<uint16_t>(out, zip::kUtf8Names);
  put<uint16_t>(out, 0);  // stored
  put<uint16_t>(out, 0);  // time
  put<uint16_t>(out, kDosDate);
  put<uint32_t>(out, crc);
  put<uint32_t>(out, brief(size));
  put<uint32_t>(out, brief(size));
  put<uint16_t>(out, static_cast<uint16_t>(name_bytes));
  put<uint16_t>(out, static_cast<uint16_t>(extra_bytes));
}

}  // namespace

void StoredZipWriter::add(std::string name, std::string_view bytes) {
  begin(std::move(name), bytes.size());
  append(std::as_bytes(std::span(bytes)));
  end();
}

void StoredZipWriter::begin(std::string name, uint64_t size) {
  const uint64_t header_offset = file_.size();
  std::string extra;
  if (size >= zip::kIn64Long) {
    put<uint16_t>(extra, zip::kZip64Extra);
    put<uint16_t>(extra, 16);
    put<uint64_t>(extra, size);
    put<uint64_t>(extra, size);
  }
  const uint64_t unpadded = header_offset + zip::kLocalHeaderBytes + name.size() + extra.size() + 4;
  const uint64_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  put<uint16_t>(extra, zip::kPaddingExtra);
  put<uint16_t>(extra, static_cast<uint16_t>(padding));
  extra.append(padding, 'Z');

  std::string header;
  put<uint32_t>(header, zip::kLocalHeader);
  put<uint16_t>(header, kVersion64);
  put_facts(header, 0, size, name.size(), extra.size());
  file_.write(header + name + extra);
  entries_.push_back({std::move(name), header_offset, size, 0});
}

void StoredZipWriter::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;  // crc32_z takes a null pointer for a request to start anew
  Entry& entry = entries_.back();
  entry.crc = static_cast<uint32_t>(
      crc32_z(entry.crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  file_.write(bytes);
}

void StoredZipWriter::end() {
  const Entry& entry = entries_.back();
  file_.write_at(entry.header_offset + kCrcInHeader, std::as_bytes(std::span(&entry.crc, 1)));
}

void StoredZipWriter::finish() {
  const uint64_t directory_offset = file_.size();
  for (const Entry& entry : entries_) {
    std::string extra;
    if (entry.size >= zip::kIn64Long) {
      put<uint64_t>(extra, entry.size);
      put<uint64_t>(extra, entry.size);
    }
    if (entry.header_offset >= zip::kIn64Long) put<uint64_t>(extra, entry.header_offset);
    if (!extra.empty()) {
      std::string head;
      put<uint16_t>(head, zip::kZip64Extra);
      put<uint16_t>(head, static_cast<uint16_t>(extra.size()));
      extra = head + extra;
    }
    std::string header;
    put<uint32_t>(header, zip::kCentralHeader);
    put<uint16_t>(header, kVersion64);
    put<uint16_t>(header, kVersion64);
    put_facts(header, entry.crc, entry.size, entry.name.size(), extra.size());
    header.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
    put<uint32_t>(header, brief(entry.header_offset));
    file_.write(header + entry.name + extra);
  }
  const uint64_t records = file_.size();
  const uint64_t count = entries_.size();

  std::string tail;
  put<uint32_t>(tail, zip::kEnd64);
  put<uint64_t>(tail, zip::kEnd64Bytes - 12);
  put<uint16_t>(tail, kVersion64);
  put<uint16_t>(tail, kVersion64);
  put<uint32_t>(tail, 0);
  put<uint32_t>(tail, 0);
  put<uint64_t>(tail, count);
  put<uint64_t>(tail, count);
  put<uint64_t>(tail, records - directory_offset);
  put<uint64_t>(tail, directory_offset);
  put<uint32_t>(tail, zip::kEnd64Locator);
  put<uint32_t>(tail, 0);
  put<uint64_t>(tail, records);
  put<uint32_t>(tail, 1);
  put<uint32_t>(tail, zip::kEnd);
  put<uint32_t>(tail, 0);  // disks
  put<uint16_t>(tail, static_cast<uint16_t>(std::min<uint64_t>(count, zip::kIn64)));
  put<uint16_t>(tail, static_cast<uint16_t>(std::min<uint64_t>(count, zip::kIn64)));
  put<uint32_t>(tail, brief(records - directory_offset));
  put<uint32_t>(tail, brief(directory_offset));
  put<uint16_t>(tail, 0);  // comment
  file_.write(tail);
}

}  // namespace sdtune
