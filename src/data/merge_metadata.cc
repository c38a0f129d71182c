#include "data/merge_metadata.h"

#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/picture_tree.h"
#include "formats/utf8.h"
#include "text/white_space.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxTextBytes = 1 << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// "\r\n" and "\r" as "\n", as Python reads text files.
std::string with_plain_newlines(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') plain += text[i];
    if (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) plain += '\n';
  }
  return plain;
}

std::string read_text(const fs::path& file) {
  const std::string bytes = read_file(file, kMaxTextBytes);
  std::string_view text = bytes;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (!is_utf8(text)) throw Error("the text is not UTF-8", file.string());
  return std::string(strip(with_plain_newlines(text)));
}

// The path as Python's pathlib spells it: without "." parts and doubled or closing slashes.
fs::path plain_path(const fs::path& path) {
  fs::path plain;
  for (const fs::path& part : path) {
    if (!part.empty() && part != ".") plain /= part;
  }
  return plain;
}

}  // namespace

std::string metadata_key(const MergeOptions& options, const fs::path& picture) {
  if (options.full_path) return (plain_path(options.train_data_dir) / picture).string();
  return (picture.parent_path() / picture.stem()).string();
}

MetadataFile starting_metadata(const std::optional<fs::path>& in_json, const fs::path& out_json) {
  if (in_json) return MetadataFile::read(*in_json);
  std::error_code ignored;
  if (!fs::exists(out_json, ignored)) return MetadataFile(out_json);
  log_info("{} is there already; its entries are kept", out_json.string());
  return MetadataFile::read(out_json);
}

MergeReport merge_texts(const MergeOptions& options, MetadataFile& metadata,
                        const MergedEntry& on_entry) {
  const fs::path& folder = options.train_data_dir;
  const std::vector<fs::path> pictures = picture_tree(folder, options.recursive);
  if (pictures.empty()) {
    throw Error("there are no pictures in this folder", folder.string(),
                options.recursive ? "" : "--recursive looks into its sub-folders too");
  }
  MergeReport report{.pictures = pictures.size()};
  std::unordered_set<std::string> seen;
  Progress progress({.label = "texts", .total = static_cast<int64_t>(pictures.size())});
  int64_t done = 0;
  for (const fs::path& picture : pictures) {
    progress.update(++done);
    const std::string key = metadata_key(options, picture);
    if (!seen.insert(key).second) {
      report.repeated.push_back(picture);
      continue;
    }
    const fs::path file = fs::path(folder / picture).replace_extension(options.caption_extension);
    std::error_code ignored;
    if (!fs::exists(file, ignored)) {
      report.missing.push_back(picture);
      continue;
    }
    try {
      const std::string text = read_text(file);
      metadata.find_or_add(key).set_text(options.field, text);
      ++report.merged;
      if (on_entry) on_entry(key, text);
    } catch (const Error& error) {
      report.unreadable.push_back(fmt::format("{} ({})", file.string(), error.what()));
    }
  }
  return report;
}

}  // namespace sdtune
