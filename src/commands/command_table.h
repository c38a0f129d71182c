// The commands of the program: `sdtune NAME [options]`. One entry a command, in the order of the
// overview; each command's file declares its function, command_table.cc lists them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "options/option_table.h"

namespace sdtune {

struct Command {
  const char* name;
  std::vector<const char*> aliases;
  const char* summary;  // one sentence
  // Takes the words after the command's name and returns the exit code; throws Error and
  // UsageError.
  int (*run)(std::span<const std::string> args);
  // The options with their defaults, for --help and the documentation: describe_defaults<Options>.
  OptionTable (*options)();
  bool computes = false;  // with torch: it wants OpenMP's threads set up before torch is loaded
};

const std::vector<Command>& commands();

}  // namespace sdtune
