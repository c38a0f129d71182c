#include "commands/merge_captions.h"

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "commands/name_list.h"
#include "data/merge_metadata.h"
#include "options/command_line.h"

namespace sdtune {
namespace {

void report_to_user(const MergeReport& report, const MergeCaptionsOptions& options) {
  if (!report.missing.empty()) {
    log_warning("{} of {} pictures have no {} file and were left as they are: {}",
                report.missing.size(), report.pictures, options.caption_extension,
                first_names(report.missing));
  }
  if (!report.unreadable.empty()) {
    log_warning("{} texts could not be used: {}", report.unreadable.size(),
                first_names(report.unreadable));
  }
  warn_of_repeated(report.repeated);
}

}  // namespace

void merge_field(const MergeCaptionsOptions& options, const char* field, MetadataFile& metadata) {
  MergedEntry print;
  if (options.debug) {
    print = [](const std::string& key, const std::string& text) { log_info("{}: {}", key, text); };
  }
  const MergeReport report = merge_texts({.train_data_dir = options.train_data_dir,
                                          .caption_extension = options.caption_extension,
                                          .field = field,
                                          .full_path = options.full_path,
                                          .recursive = options.recursive},
                                         metadata, print);
  report_to_user(report, options);
  log_info("set the {} of {} of {} pictures", field, report.merged, report.pictures);
}

int merge_into_metadata(const MergeCaptionsOptions& options, const char* field) {
  if (options.caption_extension.empty() || options.caption_extension == ".") {
    throw UsageError("an extension is missing", "--caption_extension", "give one, as in .txt");
  }
  MetadataFile metadata = starting_metadata(options.in_json, options.out_json);
  merge_field(options, field, metadata);
  metadata.write(options.out_json);
  log_info("wrote {} entries to {}", metadata.entries().size(), options.out_json.string());
  return 0;
}

int run_merge_captions(std::span<const std::string> args) {
  MergeCaptionsOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  return merge_into_metadata(options, "caption");
}

}  // namespace sdtune
