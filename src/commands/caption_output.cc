#include "commands/caption_output.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/log.h"
#include "data/merge_metadata.h"
#include "formats/metadata_file.h"
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

// What the lines of a journal say of each key; nothing for a picture that could not be read.
using Captions = std::map<std::string, std::optional<std::string>>;

constexpr uint64_t kMaxJournalBytes = 8ull << 30;

Captions read_journal(const fs::path& path) {
  Captions captions;
  if (!fs::exists(path)) return captions;
  const std::string text = read_file(path, kMaxJournalBytes);
  for (const std::string_view line : split(text, "\n")) {
    const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    // A line that was cut short has nothing that can be used.
    if (!entry.is_object() || !entry.contains("key") || !entry["key"].is_string()) continue;
    auto& caption = captions[entry["key"].get<std::string>()];
    const auto found = entry.find("caption");
    if (found != entry.end() && found->is_string()) caption = found->get<std::string>();
  }
  return captions;
}

class CaptionMetadataFile : public CaptionOutput {
 public:
  explicit CaptionMetadataFile(const CaptionMetadata& options)
      : options_(options), journal_path_(options.output.string() + ".captions.jsonl") {
    if (!options.overwrite) written_ = read_output();
    const Captions journal = read_journal(journal_path_);
    for (const auto& [key, caption] : journal) {
      if (caption) written_[key] = caption;
    }
    if (!journal.empty()) {
      log_info("{} is there already; the run goes on from it", journal_path_.string());
    }
  }

  bool has(const CaptionedPicture& picture) const override {
    return (picture.captioned && !options_.overwrite) || written_.contains(picture.key);
  }

  void keep(const CaptionedPicture& picture, const std::string& caption) override {
    append({{"key", picture.key}, {"caption", caption}});
  }

  void fail(const CaptionedPicture& picture, const std::string& reason) override {
    append({{"key", picture.key}, {"failed", reason}});
  }

  bool finish(const std::vector<CaptionedPicture>& pictures) override {
    if (!fs::exists(journal_path_) && fs::exists(options_.output)) return true;
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
      if (const auto caption = entry.text("caption")) captions[entry.key()] = caption;
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
      metadata.find_or_add(picture.key).set_text("caption", *found->second);
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
