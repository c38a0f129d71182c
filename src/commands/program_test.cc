// The program itself: what it prints where, and its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "commands/docs.h"

namespace sdtune {
namespace {

struct Outcome {
  int exit_code;
  std::string out, err;
};

Outcome run(const std::string& args) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "program_test";
  std::filesystem::create_directories(folder);
  const std::string out = (folder / "out").string(), err = (folder / "err").string();
  const std::string command = SDTUNE_PROGRAM " " + args + " >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), read_file(out), read_file(err)};
}

TEST(Program, ShowsItsCommandsAndVersion) {
  for (const char* args : {"", "--help", "-h", "help"}) {
    const Outcome outcome = run(args);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, testing::StartsWith("usage: sdtune COMMAND [options]\n"));
    EXPECT_THAT(outcome.out, testing::HasSubstr("\n  docs "));
    EXPECT_EQ(outcome.err, "");
  }
  EXPECT_THAT(run("--version").out, testing::MatchesRegex("sdtune [0-9.]+\n"));
}

TEST(Program, ShowsTheOptionsOfACommand) {
  const Outcome outcome = run("docs --help");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, testing::StartsWith("usage: sdtune docs kind [command] [options]\n"));
  EXPECT_EQ(run("help docs").out, outcome.out);
  EXPECT_EQ(run("docs schema --help").out, outcome.out);
}

TEST(Program, PrintsTheDocumentation) {
  EXPECT_EQ(run("docs options").out, options_page());
  const auto schema = nlohmann::json::parse(run("docs.py schema docs").out);
  EXPECT_EQ(schema["properties"]["kind"]["enum"], nlohmann::json({"options", "schema"}));
  EXPECT_EQ(schema["required"], nlohmann::json({"kind"}));
}

TEST(Program, MistakesInUseEndWithTwo) {
  const Outcome command = run("dock");
  EXPECT_EQ(command.exit_code, 2);
  EXPECT_EQ(command.out, "");
  EXPECT_EQ(
      command.err,
      "error: there is no command 'dock'\n  where: command line\n  try: did you mean docs?\n");
  EXPECT_EQ(run("docs options --comand x").exit_code, 2);
  EXPECT_EQ(run("help nothing").exit_code, 2);
}

TEST(Program, OutputThatIsLostIsAFailure) {
  const std::string command = SDTUNE_PROGRAM " --version >/dev/full 2>/dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
}

}  // namespace
}  // namespace sdtune
