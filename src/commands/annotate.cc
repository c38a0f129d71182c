#include "commands/annotate.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "base/system.h"
#include "commands/clean.h"
#include "commands/merge_captions.h"
#include "data/merge_metadata.h"
#include "image/decode.h"
#include "options/command_line.h"

namespace sdtune {
namespace {

// What both halves are told alike.
template <class Half>
void share(const AnnotateOptions& options, Half& half) {
  half.train_data_dir = options.train_data_dir;
  half.recursive = options.recursive;
  half.overwrite = options.overwrite;
  half.batch_size = options.batch_size;
  half.max_data_loader_n_workers = options.max_data_loader_n_workers;
  half.debug = options.debug;
}

void share_with_halves(AnnotateOptions& options) {
  share(options, options.captions);
  options.captions.caption_extension = options.caption_extension;
  options.captions.mixed_precision = options.mixed_precision;
  options.captions.device = options.device;
  share(options, options.tags);
  options.tags.caption_extension = options.tag_extension;
  options.tags.device = options.device == "cpu" ? "cpu" : "auto";
}

void validate(const AnnotateOptions& options) {
  check_options(options.captions);
  check_options(options.tags);
  if (caption_file("name", options.caption_extension) ==
      caption_file("name", options.tag_extension)) {
    throw UsageError("captions and tags would be written to the same files", "--tag_extension",
                     "give another one than --caption_extension");
  }
}

// Whether a picture without words can be read: then another process is still at it.
bool waits_for_others(const WordsJob& job) {
  if (rank_from_environment().world_size == 1) return false;
  return std::any_of(job.pictures.begin(), job.pictures.end(),
                     [&](const CaptionedPicture& picture) {
                       if (job.output->has(picture)) return false;
                       try {
                         decode_image(picture.picture);
                         return true;
                       } catch (const Error&) {
                         return false;
                       }
                     });
}

void merge(const AnnotateOptions& options, const std::string& extension, const char* field,
           MetadataFile& metadata) {
  MergeCaptionsOptions merging;
  merging.train_data_dir = options.train_data_dir;
  merging.caption_extension = extension;
  merging.full_path = options.full_path;
  merging.recursive = options.recursive;
  merging.debug = options.debug;
  merge_field(merging, field, metadata);
}

// In one piece: a run that is cut short leaves the file that was there before.
void write_metadata(const AnnotateOptions& options) {
  MetadataFile metadata = starting_metadata(options.in_json, options.out_json);
  merge(options, options.caption_extension, "caption", metadata);
  merge(options, options.tag_extension, "tags", metadata);
  clean_texts(metadata, options.debug);
  metadata.write(options.out_json);
  log_info(
      "wrote {} entries to {}; train with --train_data_dir={} --in_json={} --resolution=512 "
      "--enable_bucket",
      metadata.entries().size(), options.out_json.string(), options.train_data_dir.string(),
      options.out_json.string());
}

}  // namespace

int run_annotate(std::span<const std::string> args) {
  AnnotateOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  share_with_halves(options);
  validate(options);
  WordsJob captions = open_captions(options.captions);
  WordsJob tags = open_tags(options.tags);
  // Both before the first picture: a tagger that is missing is not found out after a night.
  if (!captions.is_done()) find_captioner(options.captions);
  const TaggerFiles tagger = tags.is_done() ? TaggerFiles() : find_tagger(options.tags);
  install_stop_signals();
  const int caption_code = write_captions(options.captions, captions);
  if (stop_signal() != 0) return caption_code;
  const int tag_code = write_tags(options.tags, tagger, tags);
  if (stop_signal() != 0) return tag_code;
  if (waits_for_others(captions) || waits_for_others(tags)) {
    log_info("the last process to end writes {}", options.out_json.string());
  } else {
    write_metadata(options);
  }
  return std::max(caption_code, tag_code);
}

}  // namespace sdtune
