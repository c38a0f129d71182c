#include "options/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "options/test_options.h"

namespace sdtune {
namespace {

TEST(OptionTable, CollectsNamesGroupsAndDefaults) {
  TestOptions options;
  const OptionTable table = describe(options);
  const Option* rate = table.find("learning-rate");
  ASSERT_NE(rate, nullptr);
  EXPECT_EQ(rate->name, "learning_rate");
  EXPECT_EQ(rate->group, "Training");
  EXPECT_EQ(rate->help, "Peak learning rate.");
  EXPECT_EQ(rate->default_value, OptionValue(2e-6));
  EXPECT_EQ(table.find("steps"), table.find("max_train_steps"));
  EXPECT_EQ(table.find("nothing"), nullptr);
  EXPECT_EQ(table.find("resolution")->default_value, OptionValue{});
  EXPECT_EQ(table.find("colour")->choices, (std::vector<std::string>{"red", "green"}));
}

TEST(OptionTable, AssignsToTheFields) {
  TestOptions options;
  OptionTable table = describe(options);
  const auto assign = [&](const char* name, const OptionValue& value) {
    const Option& option = *table.find(name);
    table.assign(option, check_value(option, value, ""), OptionSource::kFile);
    EXPECT_TRUE(table.was_set(name));
  };
  EXPECT_FALSE(table.was_set("seed"));
  assign("seed", int64_t{5});
  assign("workers", int64_t{3});
  assign("other_colour", "GREEN");
  assign("resolution", "512,768");
  assign("lr_warmup_steps", 0.5);
  assign("vae", "a/b");
  EXPECT_EQ(options.seed, 5);
  EXPECT_EQ(options.workers, 3);
  EXPECT_EQ(options.other_colour, Colour::kGreen);
  EXPECT_EQ(options.resolution, (Size2{512, 768}));
  EXPECT_EQ(options.lr_warmup_steps, (StepsOrRatio{0, 0.5}));
  EXPECT_EQ(options.vae, std::filesystem::path("a/b"));
  EXPECT_EQ(table.source("seed"), OptionSource::kFile);
  EXPECT_EQ(table.source("v2"), OptionSource::kDefault);
  EXPECT_THROW(table.was_set("nothing"), std::logic_error);
}

TEST(OptionTable, SuggestsNamesAndBeginnings) {
  TestOptions options;
  const OptionTable table = describe(options);
  EXPECT_EQ(table.suggestion("learning-rat"), "learning_rate");
  EXPECT_EQ(table.suggestion("resolutoin"), "resolution");
  EXPECT_EQ(table.suggestion("noise"), "noise_offset");
  EXPECT_EQ(table.suggestion("qqqqqqqq"), "");
}

TEST(OptionTable, RefusesWrongDeclarations) {
  struct Twice {
    bool a = false, b = false;
    void visit(OptionCollector& v) {
      v("same_name", a, "");
      v("other", b, "", Aliases{"same-name"});
    }
  } twice;
  EXPECT_THROW(describe(twice), std::logic_error);
  struct Outside {
    int n = 0;
    void visit(OptionCollector& v) { v("n", n, "", Range{1, 2}); }
  } outside;
  EXPECT_THROW(describe(outside), std::logic_error);
}

TEST(OptionTable, RecordsValuesButNoSecrets) {
  TestOptions options;
  options.api_key = "secret";
  options.optimizer_args = {"a=1", "b=2"};
  const auto values = record(describe(options));
  using testing::Contains;
  using testing::Pair;
  EXPECT_THAT(values, Contains(Pair("learning_rate", "2e-06")));
  EXPECT_THAT(values, Contains(Pair("optimizer_args", "[\"a=1\", \"b=2\"]")));
  EXPECT_THAT(values, Contains(Pair("seed", "")));
  EXPECT_THAT(values, Contains(Pair("mixed_precision", "\"no\"")));
  EXPECT_THAT(values, testing::Not(Contains(Pair("api_key", testing::_))));
  EXPECT_THAT(values, testing::Not(Contains(Pair("config_file", testing::_))));
}

TEST(OptionTable, DefaultsOutliveTheCall) {
  const OptionTable table = describe_defaults<TestOptions>();
  EXPECT_EQ(table.find("max_train_steps")->get(), OptionValue(int64_t{1600}));
}

}  // namespace
}  // namespace sdtune
