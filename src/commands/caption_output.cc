#include "commands/caption_output.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/log.h"
#include "data/merge_metadata.h"
#include "formats/metadata_file.h"
#include "image/decode.h"
#include "text/split.h"

namespace sdtune {
namespace {

using Json = nlohmann::json;

class CaptionFiles : public CaptionOutput {
 public:
  explicit CaptionFiles(std::string extension) : extension_(std::move(extension)) {}

  bool has(const CaptionedPicture& picture) const override {
    std::error_code error;
    const auto bytes = fs::file_size(caption_file(picture.picture, extension_), error);
    return !error && bytes > 0;
  }

  void keep(const CaptionedPicture& picture, const std::string& caption) override {
    write_file(caption_file(picture.picture, extension_), caption + "\n");
  }

  void fail(const CaptionedPicture&, const std::string&) override {}
  bool finish(const std::vector<CaptionedPicture>&) override { return true; }

 private:
  std::string extension_;
};

struct Words {
  std::string text;
  std::optional<PixelSize> size;  // of the picture, where it is asked for
};

// What the lines of a journal say of each key; nothing for a picture that could not be read.
using Captions = std::map<std::string, std::optional<Words>>;

constexpr uint64_t kMaxJournalBytes = 8ull << 30;

Captions read_journal(const fs::path& path) {
  Captions captions;
  if (!fs::exists(path)) return captions;
  const std::string text = read_file(path, kMaxJournalBytes);
  for (const std::string_view line : split(text, "\n")) {
    const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    // A line that was cut short has nothing that can be used.
    if (!entry.is_object() || !entry.contains("key") || !entry["key"].is_string()) continue;
    auto& words = captions[entry["key"].get<std::string>()];
    const auto found = entry.find("caption");
    if (found == entry.end() || !found->is_string()) continue;
    words = Words{found->get<std::string>(), {}};
    const Json width = entry.value("width", Json());
    const Json height = entry.value("height", Json());
    if (width.is_number_integer() && height.is_number_integer()) {
      words->size = PixelSize{width.get<int>(), height.get<int>()};
    }
  }
  return captions;
}

class CaptionMetadataFile : public CaptionOutput {
 public:
  explicit CaptionMetadataFile(const CaptionMetadata& options)
      : options_(options),
        journal_path_(options.output.string() + "." + options.field.title + ".jsonl") {
    if (!options.overwrite) written_ = read_output();
    const Captions journal = read_journal(journal_path_);
    for (const auto& [key, words] : journal) {
      if (words) written_[key] = words;
    }
    if (!journal.empty()) {
      log_info("{} is there already; the run goes on from it", journal_path_.string());
    }
  }

  bool has(const CaptionedPicture& picture) const override {
    return (picture.captioned && !options_.overwrite) || written_.contains(picture.key);
  }

  void keep(const CaptionedPicture& picture, const std::string& caption) override {
    Json line{{"key", picture.key}, {"caption", caption}};
    if (options_.field.with_size) {
      const Size size = image_size(picture.picture);
      line["width"] = size.width;
      line["height"] = size.height;
    }
    append(line);
  }

  void fail(const CaptionedPicture& picture, const std::string& reason) override {
    append({{"key", picture.key}, {"failed", reason}});
  }

  bool finish(const std::vector<CaptionedPicture>& pictures) override {
    // Without a journal the output is whole: another process has written it, or it was there
    // before, and then `start` may have more by now than it had.
    const bool is_whole = !fs::exists(journal_path_) && fs::exists(options_.output);
    const bool is_of_others = journal_ || options_.overwrite || !options_.start;
    if (is_whole && is_of_others) return true;
    Captions captions = read_journal(journal_path_);
    if (!options_.overwrite) captions.merge(read_output());
    for (const CaptionedPicture& picture : pictures) {
      const bool is_known = captions.contains(picture.key);
      if (!is_known && (!picture.captioned || options_.overwrite)) return false;
    }
    write(pictures, captions);
    std::error_code ignored;
    fs::remove(journal_path_, ignored);
    return true;
  }

 private:
  Captions read_output() const {
    Captions captions;
    if (!fs::exists(options_.output)) return captions;
    const MetadataFile metadata = MetadataFile::read(options_.output);
    for (const MetadataEntry& entry : metadata.entries()) {
      const auto text = entry.text(options_.field.name);
      if (!text) continue;
      const bool with_size = options_.field.with_size;
      captions[entry.key()] =
          Words{*text, with_size ? entry.size("image_size") : std::optional<PixelSize>()};
    }
    return captions;
  }

  void append(const Json& line) {
    if (!journal_) {
      journal_.emplace(journal_path_);
      journal_->append("");  // a process that was killed may have left half a line
    }
    journal_->append(line.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace));
  }

  void write(const std::vector<CaptionedPicture>& pictures, const Captions& captions) const {
    MetadataFile metadata = starting_metadata(options_.start, options_.output);
    for (const CaptionedPicture& picture : pictures) {
      const auto found = captions.find(picture.key);
      if (found == captions.end() || !found->second) continue;
      MetadataEntry& entry = metadata.find_or_add(picture.key);
      entry.set_text(options_.field.name, found->second->text);
      if (found->second->size) entry.set_size("image_size", *found->second->size);
    }
    metadata.write(options_.output);
    log_info("wrote {} entries to {}", metadata.entries().size(), options_.output.string());
  }

  CaptionMetadata options_;
  fs::path journal_path_;
  std::optional<AppendFile> journal_;
  Captions written_;
};

}  // namespace

fs::path caption_file(const fs::path& picture, const std::string& extension) {
  return fs::path(picture).replace_extension(extension);
}

std::unique_ptr<CaptionOutput> caption_files(const std::string& extension) {
  return std::make_unique<CaptionFiles>(extension);
}

std::unique_ptr<CaptionOutput> caption_metadata(const CaptionMetadata& options) {
  return std::make_unique<CaptionMetadataFile>(options);
}

}  // namespace sdtune
