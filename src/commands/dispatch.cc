#include "commands/dispatch.h"

#include <algorithm>
#include <cstdio>
#include <new>

#include "base/error.h"
#include "base/system.h"
#include "kernels/cpu_allocator.h"
#include "options/command_line.h"
#include "options/documentation.h"
#include "train/device_memory.h"

namespace sdtune {
namespace {

std::string plain_name(std::string word) {
  word = word.substr(word.rfind('/') + 1);
  if (word.ends_with(".py")) word.resize(word.size() - 3);
  return with_underscores(word);
}

std::string overview() {
  std::string text =
      "usage: sdtune COMMAND [options]\n\n"
      "Fine-tune Stable Diffusion 1.x and 2.x models on pictures with captions.\n\nCommands\n";
  size_t widest = 0;
  for (const Command& command : commands()) {
    widest = std::max(widest, std::string_view(command.name).size());
  }
  const int indent = static_cast<int>(widest) + 4;
  for (const Command& command : commands()) {
    text +=
        fmt::format("  {:<{}}  {}\n", command.name, widest,
                    wrap_text(command.summary, std::max(terminal_width() - indent, 20), indent));
  }
  return text + "\n'sdtune COMMAND --help' shows a command's options.\n";
}

int print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

int print_help(const Command& command) {
  return print(help_text({command.name, command.summary}, command.options(), terminal_width()));
}

}  // namespace

const Command& find_command(const std::string& word) {
  const std::string wanted = plain_name(word);
  std::vector<std::string> known;
  for (const Command& command : commands()) {
    std::vector<const char*> names = command.aliases;
    names.push_back(command.name);
    for (const char* name : names) {
      if (plain_name(name) == wanted) return command;
      known.push_back(name);
    }
  }
  const std::string near = nearest_name(wanted, known);
  throw UsageError(
      fmt::format("there is no command '{}'", word), "command line",
      near.empty() ? "'sdtune --help' lists the commands" : "did you mean " + near + "?");
}

bool will_compute(std::span<const std::string> args) {
  if (args.empty() || args[0] == "help" || args[0].starts_with('-')) return false;
  return find_command(args[0]).computes && !asks_for_help(args.subspan(1));
}

int dispatch(std::span<const std::string> args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h") return print(overview());
  if (args[0] == "--version") return print("sdtune " SDTUNE_VERSION "\n");
  if (args[0] == "help") {
    return args.size() == 1 ? print(overview()) : print_help(find_command(args[1]));
  }
  const Command& command = find_command(args[0]);
  if (asks_for_help(args.subspan(1))) return print_help(command);
  if (command.computes) use_kept_memory();
  return command.run(args.subspan(1));
}

Failure describe_failure(const std::exception& error) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) {
    std::string message = fmt::format("error: {}\n", own->what());
    if (!own->where().empty()) message += fmt::format("  where: {}\n", own->where());
    if (!own->hint().empty()) message += fmt::format("  try: {}\n", own->hint());
    return {own->exit_code(), message};
  }
  // torch appends a stack to its messages, which helps nobody who reads this.
  std::string what = error.what();
  what = what.substr(0, what.find("\nException raised from "));
  if (!is_out_of_memory(error)) return {1, fmt::format("error: {}\n", what)};
  std::string message = "error: there is not enough memory\n";
  if (dynamic_cast<const std::bad_alloc*>(&error) == nullptr) {
    message += fmt::format("  where: {}\n", what);
  }
  return {1, message + "  try: a smaller batch or resolution, or end other programs\n"};
}

}  // namespace sdtune
