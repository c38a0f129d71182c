// `sdtune docs options` prints docs/options.md; `sdtune docs schema COMMAND` prints the JSON schema
// of a command's options. Both come from the tables that read the command lines.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "options/option.h"

namespace sdtune {

enum class DocsKind { kOptions, kSchema };

struct DocsOptions {
  DocsKind kind = DocsKind::kOptions;
  std::optional<std::string> command;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "What to print: Markdown for all commands, or the JSON schema of one.",
      EnumNames<DocsKind>{{"options", DocsKind::kOptions}, {"schema", DocsKind::kSchema}},
      Positional{}, Required{});
    v("command", command, "The command whose schema to print.", Positional{});
  }
};

// The whole of docs/options.md.
std::string options_page();

int run_docs(std::span<const std::string> args);

}  // namespace sdtune
