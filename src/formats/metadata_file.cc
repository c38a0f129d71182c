#include "formats/metadata_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "formats/metadata_json.h"
#include "formats/utf8.h"

namespace sdtune {
namespace {

constexpr size_t kMaxEntries = 10'000'000;
constexpr int kMaxSide = 1 << 16;
constexpr const char* kPathField = "image_path";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // some editors put it first

bool is_lines(const fs::path& path) { return path.extension() == ".jsonl"; }

std::string_view trimmed(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
}

void parse_lines(std::string_view text, const std::string& file, const EntrySink& sink) {
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(text.substr(begin, end - begin));
    ++number;
    if (!line.empty()) parse_metadata_line(line, fmt::format("{}, line {}", file, number), sink);
    begin = end + 1;
  }
}

void append_object(std::string& out, const MetadataEntry& entry) {
  out += json_string(entry.key()) + ": {";
  bool first = true;
  for (const MetadataField& field : entry.fields()) {
    out += std::exchange(first, false) ? "\n    " : ",\n    ";
    out += json_string(field.name) + ": ";
    append_indented(out, field.json, 2);
  }
  out += first ? "}" : "\n  }";
}

void append_line(std::string& out, const MetadataEntry& entry) {
  out += fmt::format("{{\"{}\": {}", kPathField, json_string(entry.key()));
  for (const MetadataField& field : entry.fields()) {
    if (field.name == kPathField) continue;
    out += ", " + json_string(field.name) + ": " + field.json;
  }
  out += "}\n";
}

}  // namespace

MetadataEntry::MetadataEntry(std::string key, std::vector<MetadataField> fields,
                             std::shared_ptr<const std::string> file)
    : key_(std::move(key)), fields_(std::move(fields)), file_(std::move(file)) {}

const MetadataField* MetadataEntry::find(std::string_view field) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const MetadataField& known) { return known.name == field; });
  return found == fields_.end() ? nullptr : &*found;
}

void MetadataEntry::fail(const std::string& what) const {
  throw Error(fmt::format("the metadata entry \"{}\" {}", key_, what), *file_);
}

std::optional<std::string> MetadataEntry::text(std::string_view field) const {
  const MetadataField* found = find(field);
  if (found == nullptr || found->json == "null") return std::nullopt;
  if (!found->json.starts_with('"')) fail(fmt::format("has a {} that is not a string", field));
  return nlohmann::json::parse(found->json).get<std::string>();
}

std::optional<PixelSize> MetadataEntry::size(std::string_view field, int multiple) const {
  const MetadataField* found = find(field);
  if (found == nullptr || found->json == "null") return std::nullopt;
  const auto refuse = [&]() {
    fail(fmt::format("has a {} that is not [width, height] in {}", field,
                     multiple == 1 ? "whole pixels" : fmt::format("multiples of {}", multiple)));
  };
  const auto sides = nlohmann::json::parse(found->json);
  if (!sides.is_array() || sides.size() != 2) refuse();
  for (const auto& side : sides) {
    const bool good = side.is_number_integer() && side >= multiple && side <= kMaxSide &&
                      side.get<int>() % multiple == 0;
    if (!good) refuse();
  }
  return PixelSize{sides[0].get<int>(), sides[1].get<int>()};
}

std::optional<double> MetadataEntry::number(std::string_view field) const {
  const MetadataField* found = find(field);
  if (found == nullptr || found->json == "null") return std::nullopt;
  const auto value = nlohmann::json::parse(found->json);
  if (!value.is_number()) fail(fmt::format("has a {} that is not a number", field));
  return value.get<double>();
}

void MetadataEntry::set(std::string_view field, std::string json) {
  if (const MetadataField* found = find(field)) {
    fields_[static_cast<size_t>(found - fields_.data())].json = std::move(json);
  } else {
    fields_.push_back({std::string(field), std::move(json)});
  }
}

void MetadataEntry::set_text(std::string_view field, std::string_view text) {
  if (!is_utf8(text)) fail(fmt::format("cannot have a {} that is not UTF-8", field));
  set(field, json_string(text));
}

void MetadataEntry::set_size(std::string_view field, PixelSize size) {
  set(field, fmt::format("[{}, {}]", size.width, size.height));
}

MetadataFile::MetadataFile(const fs::path& path)
    : file_(std::make_shared<const std::string>(path.string())) {}

MetadataFile MetadataFile::read(const fs::path& path) {
  MetadataFile metadata(path);
  const std::string content = read_file(path);
  std::string_view text = content;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  size_t repeated = 0;
  const EntrySink sink = [&](std::string key, std::vector<MetadataField> fields) {
    if (metadata.entries_.size() == kMaxEntries) {
      throw Error(fmt::format("the metadata has more than {} entries", kMaxEntries), path.string());
    }
    if (!metadata.put({std::move(key), std::move(fields), metadata.file_})) ++repeated;
  };
  if (is_lines(path)) {
    parse_lines(text, path.string(), sink);
  } else {
    parse_metadata_object(text, path.string(), sink);
  }
  if (repeated > 0) {
    log_warning("{}: {} entries repeat the key of an earlier one; the last of each key counts",
                path.string(), repeated);
  }
  return metadata;
}

void MetadataFile::write(const fs::path& path) const {
  std::string text;
  if (is_lines(path)) {
    for (const MetadataEntry& entry : entries_) append_line(text, entry);
  } else {
    text = "{";
    for (const MetadataEntry& entry : entries_) {
      text += text.size() == 1 ? "\n  " : ",\n  ";
      append_object(text, entry);
    }
    text += entries_.empty() ? "}" : "\n}";
  }
  write_file(path, text);
}

bool MetadataFile::put(MetadataEntry entry) {
  const auto [found, is_new] = index_.try_emplace(entry.key(), entries_.size());
  if (is_new) {
    entries_.push_back(std::move(entry));
  } else {
    entries_[found->second] = std::move(entry);
  }
  return is_new;
}

const MetadataEntry* MetadataFile::find(const std::string& key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

MetadataEntry* MetadataFile::find(const std::string& key) {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

MetadataEntry& MetadataFile::find_or_add(const std::string& key) {
  if (MetadataEntry* entry = find(key)) return *entry;
  if (!is_utf8(key)) {
    throw Error(fmt::format("the name \"{}\" is not UTF-8, so it cannot stand in metadata", key),
                *file_, "rename the picture");
  }
  put({key, {}, file_});
  return entries_.back();
}

}  // namespace sdtune
