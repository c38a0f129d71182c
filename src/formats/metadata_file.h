// The metadata of a data set as sd-scripts keeps it: one JSON object of pictures, or one object a
// line (JSONL). Order is kept, and fields that this program does not know are written back as they
// were read, number by number. Which picture a key stands for is decided elsewhere
// (data/metadata.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sdtune {

struct PixelSize {
  int width = 0;
  int height = 0;
  bool operator==(const PixelSize&) const = default;
};

struct MetadataField {
  std::string name;
  std::string json;  // the value as JSON on one line, all of it ASCII
};

// One picture's fields. Errors name the file and the key.
class MetadataEntry {
 public:
  MetadataEntry(std::string key, std::vector<MetadataField> fields,
                std::shared_ptr<const std::string> file);

  const std::string& key() const { return key_; }
  const std::vector<MetadataField>& fields() const { return fields_; }
  bool has(std::string_view field) const { return find(field) != nullptr; }

  // Nothing when the field is absent or null; Error when it is no string.
  std::optional<std::string> text(std::string_view field) const;
  // Keeps the field's place, or adds it at the end. Error when `text` is not UTF-8.
  void set_text(std::string_view field, std::string_view text);

  // [width, height], each from `multiple` to 65536 and divisible by it. Nothing when the field is
  // absent or null; Error when it is anything else.
  std::optional<PixelSize> size(std::string_view field, int multiple = 1) const;
  void set_size(std::string_view field, PixelSize size);

  // Nothing when the field is absent or null; Error when it is no number.
  std::optional<double> number(std::string_view field) const;

  // Throws Error: 'the metadata entry "KEY" WHAT'.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const MetadataField* find(std::string_view field) const;
  void set(std::string_view field, std::string json);

  std::string key_;
  std::vector<MetadataField> fields_;
  std::shared_ptr<const std::string> file_;
};

class MetadataFile {
 public:
  // No entries yet; `path` is what errors about entries name.
  explicit MetadataFile(const std::filesystem::path& path);

  // By its name: lines of JSON for ".jsonl" (in these letters), one JSON object otherwise. Of a key
  // that comes twice the last entry counts, at the first one's place; a warning says how many.
  // Throws Error naming file, line and key where they are known: no valid JSON, an entry that is no
  // object, nested deeper than 32 levels, more than 10 million entries or 1024 fields in one.
  static MetadataFile read(const std::filesystem::path& path);

  // Replaces `path` atomically: JSON with indent 2 or JSONL by its name, as Python's json module
  // writes them with all but ASCII escaped; in JSONL the key stands first, as "image_path".
  void write(const std::filesystem::path& path) const;

  std::span<const MetadataEntry> entries() const { return entries_; }
  std::span<MetadataEntry> entries() { return entries_; }

  // Null when there is none. Valid until an entry is added.
  const MetadataEntry* find(const std::string& key) const;
  MetadataEntry* find(const std::string& key);
  // The entry of this key, added at the end without fields when there is none. Error when the key
  // is not UTF-8.
  MetadataEntry& find_or_add(const std::string& key);

 private:
  bool put(MetadataEntry entry);  // false when it replaced one

  std::shared_ptr<const std::string> file_;
  std::vector<MetadataEntry> entries_;
  std::unordered_map<std::string, size_t> index_;  // key to place
};

}  // namespace sdtune
