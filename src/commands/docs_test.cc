#include "commands/docs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "commands/command_table.h"

namespace sdtune {
namespace {

using Words = std::vector<std::string>;

TEST(Docs, ThePageHasEveryOptionOfEveryCommand) {
  const std::string page = options_page();
  for (const Command& command : commands()) {
    EXPECT_THAT(page, testing::HasSubstr(std::string("\n## sdtune ") + command.name + "\n"));
    const OptionTable table = command.options();
    for (const Option& option : table.options()) {
      EXPECT_THAT(page, testing::HasSubstr(option.name + "`"));
    }
  }
}

TEST(Docs, RefusesWordsThatDoNotFit) {
  EXPECT_THROW(run_docs(Words{}), UsageError);
  EXPECT_THROW(run_docs(Words{"schema"}), UsageError);
  EXPECT_THROW(run_docs(Words{"schema", "nothing"}), UsageError);
  EXPECT_THROW(run_docs(Words{"options", "docs"}), UsageError);
  EXPECT_THROW(run_docs(Words{"page"}), UsageError);
}

}  // namespace
}  // namespace sdtune
