#include "commands/docs.h"

#include <cstdio>

#include "base/error.h"
#include "commands/command_table.h"
#include "commands/dispatch.h"
#include "options/command_line.h"
#include "options/documentation.h"

namespace sdtune {

std::string options_page() {
  std::string page =
      "# Options\n\n"
      "Made by `sdtune docs options` from the program itself; do not edit by hand. Names may be "
      "written\n"
      "with hyphens or underscores, values as `--name value` or `--name=value`.\n";
  for (const Command& command : commands()) {
    page += '\n';
    page += markdown_text({command.name, command.summary}, command.options());
  }
  return page;
}

int run_docs(std::span<const std::string> args) {
  DocsOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  std::string text;
  if (options.kind == DocsKind::kOptions) {
    if (options.command) {
      throw UsageError("'docs options' prints all commands and takes no name", "command line",
                       "leave '" + *options.command + "' out");
    }
    text = options_page();
  } else {
    if (!options.command) {
      throw UsageError("'docs schema' needs a command", "command line",
                       "give one, as: sdtune docs schema docs");
    }
    const Command& command = find_command(*options.command);
    text = json_schema_text({command.name, command.summary}, command.options());
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace sdtune
