#include "data/metadata.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "data/folder_index.h"
#include "formats/metadata_file.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxTextBytes = 1 << 20;  // of one caption file
constexpr size_t kShownMissing = 5;

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

std::optional<std::string> read_text(const fs::path& file, ListingFaults* faults) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return std::nullopt;
  std::string text;
  try {
    text = read_file(file, kMaxTextBytes);
  } catch (const Error& error) {
    if (!faults) throw;
    faults->broken.emplace_back(file.string(), error.what());
  }
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // the mark that some editors put first
  return trimmed(text);
}

// "name_120_80_40_40" -> "name"; the stem itself when it does not end so.
std::string without_face(const std::string& stem) {
  size_t end = stem.size();
  for (int part = 0; part < 4; ++part) {
    const size_t bar = end == 0 ? std::string::npos : stem.rfind('_', end - 1);
    if (bar == std::string::npos || bar == 0 || bar + 1 == end) return stem;
    if (stem.find_first_not_of("0123456789", bar + 1) < end) return stem;
    end = bar;
  }
  return stem.substr(0, end);
}

Sample plain_sample(const fs::path& name, const SubsetOptions& subset, ListingFaults* faults) {
  const std::string stem = name.stem().string();
  Sample sample{.image = subset.image_dir / name, .key = name.string()};
  auto caption = read_text(subset.image_dir / (stem + subset.caption_extension), faults);
  if (!caption) {
    caption = read_text(subset.image_dir / (without_face(stem) + subset.caption_extension), faults);
  }
  sample.caption = caption.value_or(subset.class_tokens);
  if (subset.caption_extension != ".txt") {
    sample.tags = read_text(subset.image_dir / (stem + ".txt"), faults).value_or("");
  }
  return sample;
}

void read_fields(const MetadataEntry& entry, Sample& sample) {
  sample.caption = entry.text("caption").value_or("");
  sample.tags = entry.text("tags").value_or("");
  if (const auto size = entry.size("train_resolution", 8)) {
    sample.train_resolution = Size{size->width, size->height};
  }
  sample.loss_weight = entry.number("loss_weight").value_or(1);
  if (!(sample.loss_weight >= 0)) entry.fail("has a loss_weight below 0");
}

}  // namespace

std::vector<Sample> read_metadata(const fs::path& file, const fs::path& image_dir,
                                  ListingFaults* faults) {
  const MetadataFile metadata = MetadataFile::read(file);
  FolderIndex index;
  std::vector<Sample> samples;
  std::vector<std::string> missing;
  for (const MetadataEntry& entry : metadata.entries()) {
    fs::path image = resolve_key(entry.key(), image_dir, index);
    if (image.empty()) {
      missing.push_back(entry.key());
      continue;
    }
    Sample sample{.image = std::move(image), .key = entry.key()};
    try {
      read_fields(entry, sample);
    } catch (const Error& error) {
      if (!faults) throw;
      faults->broken.emplace_back(entry.key(), error.what());
    }
    samples.push_back(std::move(sample));
  }
  if (faults) {
    faults->missing = std::move(missing);
  } else if (!missing.empty()) {
    throw_missing(missing, metadata.entries().size(), file, image_dir);
  }
  return samples;
}

std::vector<Sample> read_plain_folder(const SubsetOptions& subset, ListingFaults* faults) {
  std::vector<Sample> samples;
  try {
    for (const fs::path& name : picture_names(subset.image_dir)) {
      samples.push_back(plain_sample(name, subset, faults));
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(fmt::format("the picture folder cannot be read: {}", error.code().message()),
                subset.image_dir.string(), "check --train_data_dir");
  }
  return samples;
}

}  // namespace sdtune
