// From the program's words to a command: names, aliases, help, version, and what a failure prints.
// Apart from main.cc so that it can be tested.
#pragma once

#include <exception>
#include <span>
#include <string>

#include "commands/command_table.h"

namespace sdtune {

// By name or alias; hyphens count as underscores, and a folder before and ".py" behind the name are
// dropped, so that "finetune/make_captions.py" finds make_captions. UsageError with a suggestion.
const Command& find_command(const std::string& word);

// Whether dispatch(args) will compute with torch, or only print or move files about. UsageError on
// an unknown command.
bool will_compute(std::span<const std::string> args);

// Runs the command that `args` (without the program's name) asks for; "", help, --help and
// --version are answered here. Returns the exit code; throws what the command throws.
int dispatch(std::span<const std::string> args);

struct Failure {
  int exit_code;
  std::string message;  // "error: …", then "  where: …" and "  try: …" where known; ends the line
};
Failure describe_failure(const std::exception& error);

}  // namespace sdtune
