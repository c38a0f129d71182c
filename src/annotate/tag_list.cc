#include "annotate/tag_list.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/numbers.h"
#include "formats/utf8.h"
#include "text/split.h"
#include "text/white_space.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxBytes = 256ull << 20;
constexpr size_t kMaxTags = 1'000'000;

constexpr std::array<std::pair<std::string_view, TagKind>, 6> kDanbooruCategories = {
    {{"0", TagKind::kGeneral},
     {"1", TagKind::kArtist},
     {"3", TagKind::kCopyright},
     {"4", TagKind::kCharacter},
     {"5", TagKind::kMeta},
     {"9", TagKind::kRating}}};

constexpr std::array<std::pair<std::string_view, TagKind>, 8> kNamedCategories = {
    {{"Rating", TagKind::kRating},
     {"General", TagKind::kGeneral},
     {"Character", TagKind::kCharacter},
     {"Copyright", TagKind::kCopyright},
     {"Artist", TagKind::kArtist},
     {"Meta", TagKind::kMeta},
     {"Model", TagKind::kModel},
     {"Quality", TagKind::kQuality}}};

template <class Table>
std::optional<TagKind> kind_named(const Table& table, std::string_view name) {
  for (const auto& [known, kind] : table) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

std::string read_list(const fs::path& path) {
  std::string text = read_file(path, kMaxBytes);
  if (!is_utf8(text)) throw Error("the list of tags is not UTF-8", path.string());
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

std::vector<Tag> checked(std::vector<Tag> tags, const fs::path& path) {
  if (tags.empty()) throw Error("the list of tags is empty", path.string());
  return tags;
}

// The lines without their ends; a last line without text is none.
std::vector<std::string_view> lines_of(std::string_view text, const fs::path& path) {
  std::vector<std::string_view> lines = split(text, "\n");
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  if (lines.back().empty()) lines.pop_back();
  if (lines.size() > kMaxTags) throw Error("the list has over a million tags", path.string());
  return lines;
}

// One line of RFC 4180: fields in double quotes may hold commas, and quotes twice.
std::vector<std::string> csv_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  bool is_quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool is_quote = line[i] == '"';
    if (is_quote && is_quoted && line.substr(i + 1).starts_with('"')) {
      fields.back() += line[++i];
    } else if (is_quote && (is_quoted || fields.back().empty())) {
      is_quoted = !is_quoted;
    } else if (line[i] == ',' && !is_quoted) {
      fields.emplace_back();
    } else {
      fields.back() += line[i];
    }
  }
  return fields;
}

}  // namespace

std::vector<Tag> read_selected_tags(const fs::path& path) {
  const std::string text = read_list(path);
  const std::vector<std::string_view> lines = lines_of(text, path);
  const std::vector<std::string> head =
      lines.empty() ? std::vector<std::string>() : csv_fields(lines[0]);
  if (head.size() < 3 || head[0] != "tag_id" || head[1] != "name" || head[2] != "category") {
    throw Error("the first line is not tag_id,name,category,count", path.string(),
                "Download selected_tags.csv of the tagger's repository again.");
  }
  std::vector<Tag> tags;
  for (size_t i = 1; i < lines.size(); ++i) {
    std::vector<std::string> fields = csv_fields(lines[i]);
    const auto kind = fields.size() < 3 ? std::nullopt : kind_named(kDanbooruCategories, fields[2]);
    if (!kind || fields[1].empty()) {
      throw Error(fmt::format("line {} has no name, or no category of 0, 1, 3, 4, 5 and 9", i + 1),
                  path.string());
    }
    tags.push_back({std::move(fields[1]), *kind});
  }
  return checked(std::move(tags), path);
}

std::vector<Tag> read_tag_mapping(const fs::path& path) {
  using Json = nlohmann::json;
  const Json mapping = Json::parse(read_list(path), nullptr, /*allow_exceptions=*/false);
  if (!mapping.is_object() || mapping.size() > kMaxTags) {
    throw Error("this is no JSON object of tags", path.string(),
                "Download tag_mapping.json of the tagger's repository again.");
  }
  std::vector<Tag> tags(mapping.size());
  for (const auto& [number, entry] : mapping.items()) {
    const size_t place = number_in<size_t>(number).value_or(tags.size());
    const bool is_place = place < tags.size();
    const std::string name = entry.is_object() ? entry.value("tag", Json()).dump() : "";
    const std::string category = entry.is_object() ? entry.value("category", Json()).dump() : "";
    if (!is_place || !tags[place].name.empty() || name.size() <= 2 || name[0] != '"' ||
        category.size() <= 2) {
      throw Error(fmt::format("entry \"{}\" is no tag of a list numbered from 0", number),
                  path.string());
    }
    const auto kind =
        kind_named(kNamedCategories, std::string_view(category).substr(1, category.size() - 2));
    if (!kind) {
      throw Error(fmt::format("entry \"{}\" is of an unknown category, {}", number, category),
                  path.string());
    }
    tags[place] = {entry["tag"].get<std::string>(), *kind};
  }
  return checked(std::move(tags), path);
}

std::vector<Tag> read_danbooru_tags(const fs::path& path) {
  const std::string text = read_list(path);
  std::vector<Tag> tags;
  for (const std::string_view line : lines_of(text, path)) {
    const std::string_view name = strip(line);
    if (name.empty()) {
      throw Error(fmt::format("line {} is empty", tags.size() + 1), path.string());
    }
    const bool is_rating = name.starts_with("rating:");
    tags.push_back({std::string(name), is_rating ? TagKind::kRating : TagKind::kGeneral});
  }
  return checked(std::move(tags), path);
}

}  // namespace sdtune
