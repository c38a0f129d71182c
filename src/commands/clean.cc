#include "commands/clean.h"

#include "base/files.h"
#include "base/log.h"
#include "commands/name_list.h"
#include "data/clean_metadata.h"
#include "options/command_line.h"
#include "text/caption_cleaning.h"

namespace sdtune {
namespace {

void print_text(const MetadataEntry& entry, std::string_view field, std::string_view before,
                std::string_view after) {
  log_info("{} {} before: {}", entry.key(), field, before);
  log_info("{} {} after:  {}", entry.key(), field, after);
}

void warn_of_lacking(const char* field, const std::vector<std::string>& keys, size_t entries) {
  if (keys.empty()) return;
  log_warning("{} of {} entries have no {} and keep the rest: {}", keys.size(), entries, field,
              first_names(keys));
}

}  // namespace

void clean_texts(MetadataFile& metadata, bool debug) {
  CleaningRules rules{.caption = clean_caption, .tags = clean_tags};
  if (debug) rules.on_text = print_text;
  const CleanReport report = clean_metadata(metadata, rules);
  const size_t entries = metadata.entries().size();
  warn_of_lacking("tags", report.without_tags, entries);
  warn_of_lacking("caption", report.without_caption, entries);
  log_info("changed {} captions and {} tags", report.captions_changed, report.tags_changed);
}

int run_clean(std::span<const std::string> args) {
  CleanOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  if (options.third_json) {
    log_warning("the picture folder {} is not needed; give in_json and out_json alone",
                options.in_json.string());
    options.in_json = options.out_json;
    options.out_json = *options.third_json;
  }
  MetadataFile metadata = MetadataFile::read(options.in_json);
  clean_texts(metadata, options.debug);
  metadata.write(options.out_json);
  log_info("wrote {} entries to {}", metadata.entries().size(), options.out_json.string());
  return 0;
}

}  // namespace sdtune
