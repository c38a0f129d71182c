#include "data/metadata.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "data/folder_index.h"

namespace sdtune {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr uint64_t kMaxTextBytes = 1 << 20;  // of one caption file
constexpr size_t kShownMissing = 5;

Json parse_json(const std::string& text, const fs::path& file) {
  const auto check_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) {
      throw Error(fmt::format("the metadata is nested deeper than {} levels", kMaxDepth),
                  file.string());
    }
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::parse_error& error) {
    // Its text ends in what was read and expected; the library's own number in front says nothing.
    const std::string message = error.what();
    throw Error(
        fmt::format("the metadata is no valid JSON: {}", message.substr(message.find(' ') + 1)),
        file.string(), "restore the file or make it again");
  }
}

// One entry's fields, with errors that name the key.
class Entry {
 public:
  Entry(const std::string& key, const Json& value, const fs::path& file)
      : key_(key), value_(value), file_(file) {
    if (!value.is_object()) fail("is not an object");
  }

  std::string text(const char* field) const {
    const auto found = value_.find(field);
    if (found == value_.end() || found->is_null()) return "";
    if (!found->is_string()) fail(fmt::format("has a {} that is not a string", field));
    return found->get<std::string>();
  }

  std::optional<Size> size(const char* field) const {
    const auto found = value_.find(field);
    if (found == value_.end() || found->is_null()) return std::nullopt;
    const auto is_side = [](const Json& side) {
      return side.is_number_integer() && side >= 8 && side <= 1 << 16 && side.get<int>() % 8 == 0;
    };
    if (!found->is_array() || found->size() != 2 || !is_side((*found)[0]) ||
        !is_side((*found)[1])) {
      fail(fmt::format("has a {} that is not [width, height] in multiples of 8", field));
    }
    return Size{(*found)[0].get<int>(), (*found)[1].get<int>()};
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("the metadata entry \"{}\" {}", key_, what), file_.string());
  }

  const std::string& key_;
  const Json& value_;
  const fs::path& file_;
};

// Where the key's picture lies: in the picture folder before the working directory, under the key
// as it stands before the key as a name without extension. Empty when nowhere.
fs::path resolve_key(const fs::path& key, const fs::path& image_dir, FolderIndex& index) {
  std::vector<fs::path> candidates = {key};
  if (key.is_relative() && !image_dir.empty())
    candidates.insert(candidates.begin(), image_dir / key);
  std::error_code ignored;
  for (const fs::path& candidate : candidates) {
    if (fs::is_regular_file(candidate, ignored)) return candidate;
    const fs::path found = index.find(candidate);
    if (!found.empty()) return found;
  }
  return {};
}

[[noreturn]] void throw_missing(const std::vector<std::string>& missing, size_t total,
                                const fs::path& file, const fs::path& image_dir) {
  std::string shown;
  for (size_t i = 0; i < std::min(missing.size(), kShownMissing); ++i) {
    shown += (i == 0 ? "\"" : ", \"") + missing[i] + "\"";
  }
  if (missing.size() > kShownMissing) shown += ", …";
  throw Error(fmt::format("the metadata names {} of {} pictures that are not there: {}",
                          missing.size(), total, shown),
              file.string(),
              fmt::format("looked in {} and in the working directory, under these names and with "
                          "picture extensions; correct --train_data_dir or the metadata",
                          image_dir.empty() ? "no picture folder" : image_dir.string()));
}

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

std::string text_beside(fs::path image, const char* extension) {
  const fs::path file = image.replace_extension(extension);
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return "";
  std::string text = read_file(file, kMaxTextBytes);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // the mark that some editors put first
  return trimmed(text);
}

}  // namespace

std::vector<Sample> read_metadata(const fs::path& file, const fs::path& image_dir) {
  const Json json = parse_json(read_file(file), file);
  if (!json.is_object()) {
    throw Error("the metadata is not one JSON object of pictures", file.string(),
                "it should look like {\"picture\": {\"caption\": \"...\"}}");
  }
  FolderIndex index;
  std::vector<Sample> samples;
  std::vector<std::string> missing;
  for (const auto& [key, value] : json.items()) {
    const Entry entry(key, value, file);
    fs::path image = resolve_key(key, image_dir, index);
    if (image.empty()) {
      missing.push_back(key);
      continue;
    }
    samples.push_back({std::move(image), entry.text("caption"), entry.text("tags"),
                       entry.size("train_resolution")});
  }
  if (!missing.empty()) throw_missing(missing, json.size(), file, image_dir);
  return samples;
}

std::vector<Sample> read_plain_folder(const fs::path& folder) {
  std::vector<Sample> samples;
  try {
    for (const fs::path& name : picture_names(folder)) {
      const fs::path image = folder / name;
      samples.push_back({image, text_beside(image, ".caption"), text_beside(image, ".txt"), {}});
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(fmt::format("the picture folder cannot be read: {}", error.code().message()),
                folder.string(), "check --train_data_dir");
  }
  return samples;
}

}  // namespace sdtune
