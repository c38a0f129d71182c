#include "optim/make_optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

using testing::HasSubstr;
using Items = std::vector<PythonLiteral>;

TEST(PythonLiteral, ReadsWhatPythonReads) {
  EXPECT_EQ(std::get<int64_t>(parse_python_literal("-3").value), -3);
  EXPECT_EQ(std::get<int64_t>(parse_python_literal(" +1_000 ").value), 1000);
  EXPECT_EQ(std::get<double>(parse_python_literal("1e-8").value), 1e-8);
  EXPECT_EQ(std::get<double>(parse_python_literal(".5").value), 0.5);
  EXPECT_TRUE(std::get<bool>(parse_python_literal("True").value));
  EXPECT_FALSE(std::get<bool>(parse_python_literal("(False)").value));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(parse_python_literal("None").value));
  EXPECT_EQ(std::get<std::string>(parse_python_literal(R"('it\'s "x"')").value), "it's \"x\"");
  for (const char* pair : {"(0.9, 0.99)", "[0.9,0.99]", "0.9,0.99", "(0.9,0.99,)"}) {
    const Items items = std::get<Items>(parse_python_literal(pair).value);
    ASSERT_EQ(items.size(), 2) << pair;
    EXPECT_EQ(std::get<double>(items[1].value), 0.99) << pair;
  }
  EXPECT_EQ(std::get<Items>(parse_python_literal("[1]").value).size(), 1);
  EXPECT_EQ(std::get<Items>(parse_python_literal("(1,)").value).size(), 1);
  EXPECT_EQ(std::get<Items>(parse_python_literal("()").value).size(), 0);
}

TEST(PythonLiteral, RefusesEverythingElse) {
  for (const char* text :
       {"",    " ",   "abc",   "1+1",    "1 2",
        "(1",  "1)",  "'open", "[1,,2]", ",1",
        "--1", "1e",  "0x10",  "Truely", "__import__('os')",
        "1_",  "nan", "inf",   "{1:2}",  "((((((((((((((((((1))))))))))))))))))"}) {
    EXPECT_THROW(parse_python_literal(text), Error) << text;
  }
}

std::string failure_of(const std::string& type, const std::vector<std::string>& words) {
  try {
    make_optimizer(type, {}, OptimizerArguments(words));
  } catch (const UsageError& error) {
    return fmt::format("{} | {} | {}", error.what(), error.where(), error.hint());
  }
  return "";
}

TEST(MakeOptimizer, TakesNamesInAnyCaseAndSettings) {
  EXPECT_EQ(failure_of("adamw", {"betas=(0.9,0.99)", "eps=1e-6", "weight_decay=0"}), "");
  EXPECT_EQ(failure_of("torch.optim.RMSprop", {"alpha=0.9"}), "");
  EXPECT_EQ(failure_of("ADAM", {"amsgrad=True", "stochastic_rounding=False"}), "");
}

TEST(MakeOptimizer, RefusesUnknownNamesWithTheNearest) {
  EXPECT_THAT(failure_of("AdmW", {}), HasSubstr("did you mean AdamW?"));
  EXPECT_THAT(failure_of("AdmW", {}), HasSubstr("--optimizer_type"));
  EXPECT_THAT(failure_of("my.own.Rule", {}), HasSubstr("there is no optimizer"));
}

TEST(MakeOptimizer, RefusesSettingsThatTheRuleDoesNotHave) {
  EXPECT_THAT(failure_of("AdamW", {"weight_deca=0.1"}), HasSubstr("did you mean weight_decay?"));
  EXPECT_THAT(failure_of("AdamW", {"momentum=0.9"}),
              HasSubstr("it takes betas, eps, weight_decay, amsgrad"));
  EXPECT_THAT(failure_of("AdamW", {"eps"}), HasSubstr("not of the form key=value"));
  EXPECT_THAT(failure_of("AdamW", {"eps=1", "eps=2"}), HasSubstr("given twice"));
  EXPECT_THAT(failure_of("AdamW", {"eps=small"}), HasSubstr("no Python literal"));
  EXPECT_THAT(failure_of("AdamW", {"eps='1'"}), HasSubstr("\"eps\" takes a number"));
  EXPECT_THAT(failure_of("AdamW", {"eps=-1"}), HasSubstr("at least 0"));
  EXPECT_THAT(failure_of("AdamW", {"betas=0.9"}), HasSubstr("2 numbers"));
  EXPECT_THAT(failure_of("AdamW", {"betas=0.9,1.5"}), HasSubstr("from 0 to 1"));
  EXPECT_THAT(failure_of("AdamW", {"amsgrad=2"}), HasSubstr("True or False"));
}

}  // namespace
}  // namespace sdtune
