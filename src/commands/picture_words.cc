#include "commands/picture_words.h"

#include <algorithm>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/system.h"
#include "commands/name_list.h"
#include "data/merge_metadata.h"
#include "data/metadata.h"
#include "data/picture_tree.h"
#include "formats/utf8.h"
#include "image/decode.h"

namespace sdtune {
namespace {

std::vector<CaptionedPicture> pictures_in_folder(const PictureWords& words) {
  MergeOptions keys;
  keys.train_data_dir = words.train_data_dir;
  keys.full_path = words.full_path;
  std::vector<CaptionedPicture> pictures;
  std::vector<fs::path> other_encodings;
  for (const fs::path& picture : picture_tree(words.train_data_dir, words.recursive)) {
    const std::string key = metadata_key(keys, picture);
    if (words.output_path && !is_utf8(key)) {
      other_encodings.push_back(picture);
    } else {
      pictures.push_back({words.train_data_dir / picture, key});
    }
  }
  warn_of_other_encodings(other_encodings);
  if (pictures.empty()) {
    throw Error("there are no pictures in this folder", words.train_data_dir.string(),
                words.recursive ? "" : "--recursive looks into its sub-folders too");
  }
  return pictures;
}

std::vector<CaptionedPicture> pictures_in_metadata(const PictureWords& words) {
  std::vector<CaptionedPicture> pictures;
  for (const Sample& sample : read_metadata(*words.in_json, words.train_data_dir)) {
    const std::string& there = words.field.name == "tags" ? sample.tags : sample.caption;
    pictures.push_back({sample.image, sample.key, !there.empty()});
  }
  return pictures;
}

std::vector<CaptionedPicture> find_pictures(const PictureWords& words) {
  std::vector<CaptionedPicture> pictures =
      words.in_json ? pictures_in_metadata(words) : pictures_in_folder(words);
  std::set<std::string> places;
  std::vector<fs::path> repeated;
  std::erase_if(pictures, [&](const CaptionedPicture& one) {
    const std::string place =
        words.output_path ? one.key : caption_file(one.picture, words.extension).string();
    const bool is_new = places.insert(place).second;
    if (!is_new) repeated.push_back(one.picture);
    return !is_new;
  });
  if (!repeated.empty()) {
    log_warning(
        "{} pictures share the name of another one without its extension, and its caption: {}",
        repeated.size(), first_names(repeated));
  }
  return pictures;
}

std::unique_ptr<CaptionOutput> open_output(const PictureWords& words,
                                           const std::vector<CaptionedPicture>& pictures) {
  if (words.output_path) {
    return caption_metadata({*words.output_path, words.in_json, words.overwrite, words.field});
  }
  std::set<fs::path> folders;
  for (const CaptionedPicture& one : pictures) folders.insert(one.picture.parent_path());
  for (const fs::path& folder : folders) {
    remove_stale_temporaries(folder.empty() ? fs::path(".") : folder);
  }
  return caption_files(words.extension);
}

}  // namespace

void check_extension(const std::string& extension) {
  if (extension.empty() || extension == ".") {
    throw UsageError("an extension is missing", "--caption_extension", "give one, as in .caption");
  }
  if (is_image_name(caption_file("name", extension))) {
    throw UsageError("captions would be written over the pictures", "--caption_extension",
                     "give another one, as in .caption");
  }
}

WordsJob open_words(const PictureWords& words) {
  WordsJob job{.words = words, .pictures = find_pictures(words)};
  job.output = open_output(words, job.pictures);
  const bool has_all_to_do = words.overwrite && !words.output_path;
  for (const CaptionedPicture& one : job.pictures) {
    job.work.push_back({one.picture, !has_all_to_do && job.output->has(one)});
  }
  return job;
}

bool WordsJob::is_done() const {
  return std::all_of(work.begin(), work.end(), [](const CaptionWork& one) { return one.done; });
}

CaptionReport all_done(const WordsJob& job) {
  return {.done_before = static_cast<int64_t>(job.work.size())};
}

int reader_threads(const std::optional<int64_t>& workers) {
  const int64_t cores = std::max(std::thread::hardware_concurrency(), 1u);
  return static_cast<int>(std::clamp<int64_t>(workers.value_or(cores), 1, 256));
}

int finish_words(WordsJob& job, const CaptionReport& report) {
  const bool is_whole = job.output->finish(job.pictures);
  log_info("wrote {} {}; {} pictures had one already, {} could not be read", report.captioned,
           job.words.field.title, report.done_before, report.failed);
  if (stop_signal() != 0) {
    log_info("stopped; what was written is kept, and the same command goes on from there");
    return 128 + stop_signal();
  }
  if (!is_whole) log_info("the last process to end writes {}", job.words.output_path->string());
  return report.failed > 0 ? 1 : 0;
}

}  // namespace sdtune
