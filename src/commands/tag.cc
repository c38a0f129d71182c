#include "commands/tag.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "annotate/tag_rules.h"
#include "annotate/tagger.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/system.h"
#include "commands/model_ids.h"
#include "options/command_line.h"

namespace sdtune {
namespace {

// Where sd-scripts keeps the files of `owner/name` and `owner/name/folder`.
fs::path folder_of_repository(const TagOptions& options) {
  std::string name = options.repo_id;
  const size_t owner = name.find('/');
  if (owner == std::string::npos) return options.model_dir / name;
  name[owner] = '_';
  return options.model_dir / name;
}

TagPlace place_of(bool is_first, bool is_last) {
  return is_first ? TagPlace::kFirst : is_last ? TagPlace::kLast : TagPlace::kLeftOut;
}

TagRules rules_of(const TagOptions& options, TaggerFamily family) {
  TagRules rules;
  const std::pair<TagKind, const std::optional<double>&> thresholds[] = {
      {TagKind::kGeneral, options.general_threshold},
      {TagKind::kCharacter, options.character_threshold},
      {TagKind::kCopyright, options.copyright_threshold},
      {TagKind::kArtist, options.artist_threshold},
      {TagKind::kMeta, options.meta_threshold},
      {TagKind::kModel, options.model_threshold}};
  for (const auto& [kind, threshold] : thresholds) {
    rules.thresholds[kind] = static_cast<float>(threshold.value_or(options.thresh));
  }
  rules.separator = options.caption_separator;
  rules.by_score = family == TaggerFamily::kMapped;
  rules.remove_underscore = options.remove_underscore;
  rules.expand_characters = options.character_tag_expand;
  rules.characters_first = options.character_tags_first;
  rules.rating = place_of(options.use_rating_tags, options.use_rating_tags_as_last_tag);
  rules.quality = place_of(options.use_quality_tags, options.use_quality_tags_as_last_tag);
  rules.replacements = parse_replacements(options.tag_replacement);
  for (std::string& tag : listed_tags(options.undesired_tags, rules.separator)) {
    rules.undesired.insert(std::move(tag));
  }
  rules.always_first = listed_tags(options.always_first_tags, rules.separator);
  return rules;
}

TagWriter writer_of(const TagOptions& options, const TaggerFiles& files) {
  TagWriter writer(read_tags(files), rules_of(options, files.family));
  for (const std::string& name : writer.unused_replacements()) {
    log_warning("--tag_replacement: the tagger has no tag '{}'", name);
  }
  return writer;
}

// The tags of a text file, and those of `text` that it has not.
std::string appended(const fs::path& file, const std::string& text, const std::string& separator) {
  if (!fs::exists(file)) return text;
  std::vector<std::string> tags = listed_tags(read_file(file), separator);
  for (std::string& tag : listed_tags(text, separator)) {
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(std::move(tag));
  }
  return fmt::format("{}", fmt::join(tags, separator));
}

void print_frequencies(const std::map<std::string, int64_t>& counts) {
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  fmt::print("Tag frequencies:\n");
  for (const auto& [tag, count] : sorted) fmt::print("{}: {}\n", tag, count);
}

// What is done with the tags of each picture.
class TagSink {
 public:
  TagSink(const TagOptions& options, WordsJob& job) : options_(options), job_(job) {}

  void keep(size_t place, const std::string& text) {
    const CaptionedPicture& picture = job_.pictures[place];
    const fs::path file = caption_file(picture.picture, options_.caption_extension);
    const std::string& separator = options_.caption_separator;
    job_.output->keep(picture, options_.append_tags ? appended(file, text, separator) : text);
    for (const std::string& tag : listed_tags(text, separator)) ++counts_[tag];
    if (options_.debug) log_info("{}: {}", picture.picture.string(), text);
  }

  void fail(size_t place, const std::string& reason) {
    job_.output->fail(job_.pictures[place], reason);
  }
  const std::map<std::string, int64_t>& counts() const { return counts_; }

 private:
  const TagOptions& options_;
  WordsJob& job_;
  std::map<std::string, int64_t> counts_;
};

Tagger open_tagger(const TagOptions& options, const TaggerFiles& files, const TagWriter& writer) {
  Tagger tagger(files, writer.size(),
                {.path = files.model, .device = options.device, .threads = at::get_num_threads()});
  log_info("{}: {} tags, computed by {}, {} threads", files.model.string(), writer.size(),
           tagger.facts().engine, at::get_num_threads());
  const int64_t batch = tagger.facts().batch;
  if (batch > 0 && batch != options.batch_size) {
    log_info("the model takes {} pictures at once, whatever --batch_size says", batch);
  }
  return tagger;
}

std::vector<std::string> tags_of(const TagWriter& writer, const std::string& separator,
                                 std::span<const float> scores) {
  std::vector<std::string> texts;
  for (size_t begin = 0; begin < scores.size(); begin += writer.size()) {
    const std::vector<std::string> tags = writer.tags_of(scores.subspan(begin, writer.size()));
    texts.push_back(fmt::format("{}", fmt::join(tags, separator)));
  }
  return texts;
}

CaptionReport tag_with(const TaggerFiles& files, const TagOptions& options, WordsJob& job,
                       TagSink& sink) {
  const TagWriter writer = writer_of(options, files);
  Tagger tagger = open_tagger(options, files, writer);
  const int64_t batch = tagger.facts().batch;
  return caption_pictures(
      job.work,
      {.prepare = [&](const Image& image) { return tagger.prepare(image); },
       .write =
           [&](std::span<const ReadyPicture> ready) {
             return tags_of(writer, options.caption_separator, tagger.score(ready));
           }},
      {.batch_size = batch > 0 ? batch : options.batch_size,
       .threads = reader_threads(options.max_data_loader_n_workers),
       .rank = rank_from_environment(),
       .label = "tags"},
      {.keep = [&](size_t place, const std::string& text) { sink.keep(place, text); },
       .fail = [&](size_t place, const std::string& reason) { sink.fail(place, reason); }});
}

}  // namespace

void check_options(const TagOptions& options) {
  check_extension(options.caption_extension);
  parse_replacements(options.tag_replacement);
  if (options.append_tags && options.output_path) {
    throw UsageError("tags are appended to text files alone", "--append_tags",
                     "leave it out with --output_path, or take --in_json, whose other words stay");
  }
}

WordsJob open_tags(const TagOptions& options) {
  const bool is_lines = options.output_path && options.output_path->extension() == ".jsonl";
  return open_words({.train_data_dir = options.train_data_dir,
                     .extension = options.caption_extension,
                     .output_path = options.output_path,
                     .in_json = options.in_json,
                     .full_path = true,
                     .recursive = options.recursive,
                     .overwrite = options.overwrite || options.append_tags,
                     .field = {.name = is_lines && !options.in_json ? "caption" : "tags",
                               .title = "tags",
                               .with_size = true}});
}

TaggerFiles find_tagger(const TagOptions& options) {
  const bool is_danbooru = options.deepdanbooru;
  if (fs::is_directory(options.repo_id)) return find_tagger(options.repo_id, is_danbooru);
  const fs::path below = folder_of_repository(options);
  if (!options.force_download) {
    if (fs::is_directory(below)) return find_tagger(below, is_danbooru);
    if (has_tagger(options.model_dir, is_danbooru)) {
      return find_tagger(options.model_dir, is_danbooru);
    }
  }
  const auto use = is_danbooru ? ModelUse::kDeepDanbooru : ModelUse::kTagger;
  if (const auto found = find_on_hub(options.repo_id, use)) {
    return find_tagger(found->path, is_danbooru);
  }
  throw Error("there is no tagger", below.string(),
              "Name with --repo_id a folder that has its ONNX file and its list of tags, or a "
              "repository on the Hugging Face Hub.");
}

int write_tags(const TagOptions& options, const TaggerFiles& files, WordsJob& job) {
  TagSink sink(options, job);
  const CaptionReport report = job.is_done() ? all_done(job) : tag_with(files, options, job, sink);
  const int code = finish_words(job, report);
  if (options.frequency_tags) print_frequencies(sink.counts());
  return code;
}

int run_tag(std::span<const std::string> args) {
  TagOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  check_options(options);
  WordsJob job = open_tags(options);
  const TaggerFiles files = job.is_done() ? TaggerFiles() : find_tagger(options);
  install_stop_signals();
  return write_tags(options, files, job);
}

}  // namespace sdtune
