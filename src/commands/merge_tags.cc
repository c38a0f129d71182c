#include "commands/merge_tags.h"

#include "options/command_line.h"

namespace sdtune {

int run_merge_tags(std::span<const std::string> args) {
  MergeTagsOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  return merge_into_metadata(options, "tags");
}

}  // namespace sdtune
