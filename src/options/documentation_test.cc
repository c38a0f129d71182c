#include "options/documentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "options/test_options.h"

namespace sdtune {
namespace {

using testing::HasSubstr;
using testing::Not;

const CommandText kCommand{"try", "Try the options."};

TEST(Documentation, WrapsAtSpacesAndCountsLettersNotBytes) {
  EXPECT_EQ(wrap_text("aa bb cc", 5, 2), "aa bb\n  cc");
  EXPECT_EQ(wrap_text("éé éé", 5, 0), "éé éé");
  EXPECT_EQ(wrap_text("longword b", 3, 1), "longword\n b");
  EXPECT_EQ(wrap_text("", 5, 0), "");
}

TEST(Documentation, HelpShowsGroupsDefaultsAndChoices) {
  TestOptions options;
  const std::string help = help_text(kCommand, describe(options), 120);
  EXPECT_THAT(help, HasSubstr("usage: sdtune try [options]\n\nTry the options.\n\nModel\n  --v2 "));
  EXPECT_THAT(help, HasSubstr("Peak learning rate. [a number from 0 to 1; default 2e-06]"));
  EXPECT_THAT(help, HasSubstr("[one of no, fp16, bf16; default no]"));
  EXPECT_THAT(help, HasSubstr("also --steps"));
  EXPECT_THAT(help, HasSubstr("default \",\""));
  EXPECT_THAT(help, HasSubstr("Keep the workers. [default true]"));
  EXPECT_THAT(help, Not(HasSubstr("default false")));
  EXPECT_LT(help.find("\nModel\n"), help.find("\nTraining\n"));
}

TEST(Documentation, HelpKeepsToTheWidth) {
  TestOptions options;
  std::istringstream lines(help_text(kCommand, describe(options), 72));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 72u + 4) << line;
}

TEST(Documentation, HelpShowsPositionalWords) {
  struct Tool {
    std::string in, out;
    std::vector<std::string> more;
    void visit(OptionCollector& v) {
      v("in", in, "Input.", Positional{}, Required{});
      v("out", out, "Output.", Positional{});
      v("more", more, "Rest.", Positional{});
    }
  } tool;
  EXPECT_THAT(help_text(kCommand, describe(tool), 100),
              HasSubstr("usage: sdtune try in [out] [more …] [options]\n"));
  EXPECT_THAT(help_text(kCommand, describe(tool), 100), HasSubstr("Input. [required]\n"));
}

TEST(Documentation, MarkdownHasOneTableAGroup) {
  TestOptions options;
  const std::string page = markdown_text(kCommand, describe(options));
  EXPECT_THAT(page,
              HasSubstr("## sdtune try\n\nTry the options.\n\n### Model\n\n| option | value |"));
  EXPECT_THAT(page,
              HasSubstr("| `--learning_rate` | a number from 0 to 1 | `2e-06` | Peak learning "
                        "rate. |\n"));
  EXPECT_THAT(page, HasSubstr("| `--max_train_steps`, `--steps` |"));
  EXPECT_THAT(page, HasSubstr("Between tags \\| captions."));
  EXPECT_THAT(page, HasSubstr("| `--v2` | switch |  | The model is SD2. |"));
}

TEST(Documentation, SchemaSaysTypesBoundsAndDefaults) {
  TestOptions options;
  const OptionTable table = describe(options);
  const auto schema = nlohmann::json::parse(json_schema_text(kCommand, table));
  const auto& properties = schema["properties"];
  EXPECT_EQ(properties.size(), table.options().size());
  EXPECT_EQ(properties["v2"]["type"], "boolean");
  EXPECT_EQ(properties["learning_rate"]["maximum"], 1);
  EXPECT_EQ(properties["learning_rate"]["default"], 2e-6);
  EXPECT_EQ(properties["workers"]["minimum"], 0);
  EXPECT_FALSE(properties["workers"].contains("maximum"));
  EXPECT_EQ(properties["mixed_precision"]["enum"], nlohmann::json({"no", "fp16", "bf16"}));
  EXPECT_EQ(properties["max_token_length"]["enum"], nlohmann::json({150, 225}));
  EXPECT_EQ(properties["optimizer_args"]["default"], nlohmann::json::array());
  EXPECT_EQ(properties["optimizer_args"]["items"]["type"], "string");
  EXPECT_FALSE(properties["seed"].contains("default"));
  EXPECT_EQ(properties["seed"]["x-group"], "Training");
  EXPECT_EQ(schema["additionalProperties"], false);
}

}  // namespace
}  // namespace sdtune
