#include "options/command_line.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "options/test_options.h"

namespace sdtune {
namespace {

using Words = std::vector<std::string>;

TestOptions parse(const Words& words) {
  TestOptions options;
  OptionTable table = describe(options);
  EXPECT_TRUE(parse_command_line(table, words));
  return options;
}

struct Failed {
  std::string what, hint;
};
Failed failure_of(const Words& words) {
  TestOptions options;
  OptionTable table = describe(options);
  try {
    (void)parse_command_line(table, words);
  } catch (const UsageError& error) {
    return {error.what(), error.hint()};
  }
  return {};
}

TEST(CommandLine, TakesValuesBehindASpaceOrAnEqualsSign) {
  const TestOptions options = parse({"--learning_rate", "1e-5", "--output_dir=a=b", "--v2"});
  EXPECT_EQ(options.learning_rate, 1e-5);
  EXPECT_EQ(options.output_dir, "a=b");
  EXPECT_TRUE(options.v2);
}

TEST(CommandLine, HyphensAndUnderscoresAreAlike) {
  EXPECT_EQ(parse({"--max-train-steps", "5"}).max_train_steps, 5);
  EXPECT_EQ(parse({"--max_train-steps=6"}).max_train_steps, 6);
  EXPECT_EQ(parse({"--steps=7"}).max_train_steps, 7);
}

TEST(CommandLine, TheLastOneWins) {
  const TestOptions options = parse({"--seed", "1", "--v2", "--seed=2", "--v2=false",
                                     "--optimizer_args", "a", "b", "--optimizer_args", "c"});
  EXPECT_EQ(options.seed, 2);
  EXPECT_FALSE(options.v2);
  EXPECT_EQ(options.optimizer_args, Words{"c"});
}

TEST(CommandLine, FlagsMayBeTurnedOff) {
  EXPECT_FALSE(parse({"--persistent=false"}).persistent);
  EXPECT_TRUE(parse({"--v2=True"}).v2);
  EXPECT_EQ(failure_of({"--v2", "true"}).what, "'true' belongs to no option");
}

TEST(CommandLine, NegativeNumbersAndDashesAreValues) {
  EXPECT_EQ(parse({"--seed", "-5"}).seed, -5);
  EXPECT_EQ(parse({"--noise_offset", "-.5"}).noise_offset, -0.5);
  EXPECT_EQ(parse({"--caption_separator", "-"}).caption_separator, "-");
  EXPECT_EQ(parse({"--output_name", "- a b"}).output_name, "- a b");
  EXPECT_EQ(parse({"--output_name=--x"}).output_name, "--x");
  EXPECT_EQ(parse({"--output_name", ""}).output_name, "");
}

TEST(CommandLine, ListsTakeAllWordsUpToTheNextOption) {
  const TestOptions options =
      parse({"--optimizer_args", "betas=(0.9, 0.99)", "weight_decay=-1", "-1", "--v2"});
  EXPECT_EQ(options.optimizer_args, (Words{"betas=(0.9, 0.99)", "weight_decay=-1", "-1"}));
  EXPECT_TRUE(options.v2);
  EXPECT_EQ(parse({"--optimizer_args"}).optimizer_args, Words{});
  EXPECT_EQ(parse({"--optimizer_args=a b"}).optimizer_args, Words{"a b"});
}

TEST(CommandLine, UnknownOptionsGetASuggestion) {
  EXPECT_EQ(failure_of({"--learning_rte", "1"}).what, "there is no option '--learning_rte'");
  EXPECT_EQ(failure_of({"--learning_rte=1"}).hint, "did you mean --learning_rate?");
  EXPECT_EQ(failure_of({"-seed=1"}).hint, "did you mean --seed?");
  EXPECT_EQ(failure_of({"--noise", "1"}).hint, "did you mean --noise_offset?");
  EXPECT_EQ(failure_of({"--zzzzzzzzz"}).hint, "--help lists the options");
  EXPECT_EQ(failure_of({"-"}).what, "'-' belongs to no option");
}

TEST(CommandLine, WrongValuesNameTheOption) {
  const Failed failed = failure_of({"--learning-rate", "fast"});
  EXPECT_EQ(failed.what, "'fast' is no value for --learning_rate");
  EXPECT_EQ(failed.hint, "give a number from 0 to 1");
  EXPECT_EQ(failure_of({"--seed"}).what, "--seed needs a value");
  EXPECT_EQ(failure_of({"--seed", "--v2"}).what, "--seed needs a value");
  EXPECT_EQ(failure_of({"--output_name", "--seed=1 2"}).what, "--output_name needs a value");
  EXPECT_EQ(failure_of({"--colour", "blue"}).hint, "give one of red, green");
  EXPECT_EQ(failure_of({"--max_token_length", "75"}).hint, "give one of 150, 225");
}

struct Tool {
  std::string in;
  std::vector<std::string> more;
  bool debug = false;
  template <class V>
  void visit(V& v) {
    v("in_json", in, "Input.", Positional{}, Required{});
    v("debug", debug, "Talk.");
    v("more", more, "The rest.", Positional{});
  }
};

Tool parse_tool(const Words& words) {
  Tool tool;
  OptionTable table = describe(tool);
  EXPECT_TRUE(parse_command_line(table, words));
  return tool;
}

TEST(CommandLine, WordsWithoutNamesGoToPositionalOptions) {
  const Tool tool = parse_tool({"a", "--debug", "b", "-1", "--", "--debug", "--"});
  EXPECT_EQ(tool.in, "a");
  EXPECT_TRUE(tool.debug);
  EXPECT_EQ(tool.more, (Words{"b", "-1", "--debug", "--"}));
  EXPECT_EQ(parse_tool({"--in_json", "x"}).in, "x");
}

TEST(CommandLine, RequiredOptionsMustBeThere) {
  Tool tool;
  OptionTable table = describe(tool);
  try {
    (void)parse_command_line(table, Words{"--debug"});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "in_json is missing");
  }
}

class CommandLineFile : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / "command_line_test";
};

TEST_F(CommandLineFile, TheFileStandsBelowTheCommandLine) {
  write_file(folder_ / "run.toml", "seed = 1\nlearning_rate = 0.5\n");
  TestOptions options;
  OptionTable table = describe(options);
  const Words words{"--seed=2", "--config_file", (folder_ / "run").string()};
  EXPECT_TRUE(parse_command_line(table, words));
  EXPECT_EQ(options.seed, 2);
  EXPECT_EQ(options.learning_rate, 0.5);
  EXPECT_EQ(table.source("seed"), OptionSource::kCommandLine);
  EXPECT_EQ(table.source("learning_rate"), OptionSource::kFile);
  EXPECT_FALSE(table.was_set("v2"));
}

TEST_F(CommandLineFile, AMissingFileIsAFailureNotAMistakeInUse) {
  TestOptions options;
  OptionTable table = describe(options);
  try {
    (void)parse_command_line(table, Words{"--config_file", (folder_ / "none").string()});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 1);
  }
}

TEST_F(CommandLineFile, OutputConfigWritesTheFileAndEnds) {
  const std::string path = (folder_ / "out").string();
  const Words words{"--output_config", "--config_file", path, "--seed=3"};
  TestOptions options;
  OptionTable table = describe(options);
  EXPECT_FALSE(parse_command_line(table, words));
  EXPECT_EQ(read_file(path + ".toml"), "# Training\nseed = 3\n");
  OptionTable again = describe(options);
  try {
    (void)parse_command_line(again, words);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 1);
  }
  EXPECT_EQ(failure_of({"--output_config"}).what,
            "--output_config needs --config_file, the file to write");
}

TEST(CommandLine, HelpIsAskedForBeforeTheTwoDashes) {
  EXPECT_TRUE(asks_for_help(Words{"a", "--help"}));
  EXPECT_TRUE(asks_for_help(Words{"-h"}));
  EXPECT_FALSE(asks_for_help(Words{"--", "-h"}));
  EXPECT_FALSE(asks_for_help(Words{"--h"}));
}

}  // namespace
}  // namespace sdtune
