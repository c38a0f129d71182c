#include "options/config_file.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "options/test_options.h"

namespace sdtune {
namespace {

TestOptions read(const std::string& text) {
  TestOptions options;
  OptionTable table = describe(options);
  apply_toml(table, text, "f.toml");
  return options;
}

struct Failed {
  std::string what, where, hint;
};
Failed failure_of(const std::string& text) {
  try {
    read(text);
  } catch (const UsageError& error) {
    return {error.what(), error.where(), error.hint()};
  }
  return {};
}

TEST(ConfigFile, ReadsEveryTypeAndOneLevelOfTables) {
  const TestOptions options = read(
      "v2 = true\npersistent = false\nsteps = 20\n[training_arguments]\nlearning-rate = 1\n"
      "resolution = 512\noptimizer_args = [\"a=1\", \"b=é\"]\nlr_warmup_steps = 0.1\n"
      "[dataset]\ncolour = \"Green\"\nmax_token_length = 225\nseed = 3.0\noutput_dir = \"a b\"\n");
  EXPECT_TRUE(options.v2);
  EXPECT_FALSE(options.persistent);
  EXPECT_EQ(options.max_train_steps, 20);
  EXPECT_EQ(options.learning_rate, 1.0);
  EXPECT_EQ(options.resolution, (Size2{512, 512}));
  EXPECT_EQ(options.optimizer_args, (std::vector<std::string>{"a=1", "b=é"}));
  EXPECT_EQ(options.lr_warmup_steps, (StepsOrRatio{0, 0.1}));
  EXPECT_EQ(options.colour, Colour::kGreen);
  EXPECT_EQ(options.max_token_length, 225);
  EXPECT_EQ(options.seed, 3);
  EXPECT_EQ(options.output_dir, "a b");
}

TEST(ConfigFile, SuggestsForUnknownKeys) {
  const Failed failed = failure_of("v2 = true\n\nlearning_rat = 1\n");
  EXPECT_EQ(failed.what, "there is no option 'learning_rat'");
  EXPECT_EQ(failed.where, "f.toml:3");
  EXPECT_EQ(failed.hint, "did you mean learning_rate?");
  EXPECT_EQ(failure_of("[a]\n[a.b]\nv2 = true\n").what, "there is no option 'b'");
}

TEST(ConfigFile, RefusesWrongTypes) {
  EXPECT_EQ(failure_of("seed = \"1\"\n").what, "seed is a string");
  EXPECT_EQ(failure_of("seed = \"1\"\n").hint, "give a whole number, without quotes or brackets");
  EXPECT_EQ(failure_of("v2 = 1\n").what, "'1' is no value for --v2");
  EXPECT_EQ(failure_of("seed = 1.5\n").what, "'1.5' is no value for --seed");
  EXPECT_EQ(failure_of("learning_rate = 2.0\n").where, "f.toml:1");
  EXPECT_EQ(failure_of("learning_rate = nan\n").what, "'nan' is no value for --learning_rate");
  EXPECT_EQ(failure_of("output_name = 12\n").what, "output_name is not a string");
  EXPECT_EQ(failure_of("output_name = \"a\\u0000b\"\n").where, "f.toml:1");
  EXPECT_EQ(failure_of("optimizer_args = \"a=1\"\n").what, "optimizer_args is a single value");
  EXPECT_EQ(failure_of("optimizer_args = [1]\n").what,
            "optimizer_args is an array of something else than strings");
  EXPECT_EQ(failure_of("resolution = [512, 512]\n").what, "resolution is an array");
  EXPECT_EQ(failure_of("lr_warmup_steps = 100.0\n").what,
            "'100' is no value for --lr_warmup_steps");
  EXPECT_EQ(failure_of("[a]\nv2 = {x = 1}\n").what, "v2 is a table");
  EXPECT_EQ(failure_of("[v2]\nv2 = true\n").what, "");
}

TEST(ConfigFile, RefusesAKeyGivenTwice) {
  EXPECT_EQ(failure_of("steps = 1\n[a]\nmax_train_steps = 1\n").what,
            "max_train_steps is given twice");
}

TEST(ConfigFile, SetsNothingWhenOneKeyIsWrong) {
  TestOptions options;
  OptionTable table = describe(options);
  EXPECT_THROW(apply_toml(table, "v2 = true\nwrong = 1\n", "f.toml"), UsageError);
  EXPECT_FALSE(options.v2);
  EXPECT_FALSE(table.was_set("v2"));
}

TEST(ConfigFile, TheCommandLineCountsMore) {
  TestOptions options;
  OptionTable table = describe(options);
  table.assign(*table.find("seed"), int64_t{7}, OptionSource::kCommandLine);
  apply_toml(table, "seed = 8\nv2 = true\n", "f.toml");
  EXPECT_EQ(options.seed, 7);
  EXPECT_TRUE(options.v2);
}

TEST(ConfigFile, WritesOnlyWhatDiffers) {
  TestOptions options;
  options.seed = 1;
  options.learning_rate = 1e-5;
  options.resolution = Size2{512, 768};
  options.lr_warmup_steps = {0, 1};
  options.api_key = "secret";
  options.files.config_file = "x";
  EXPECT_EQ(to_toml(describe(options), false), "");  // the defaults are those at describe()

  TestOptions later;
  const OptionTable table = describe(later);
  later = options;
  EXPECT_EQ(to_toml(table, false),
            "# Training\nlearning_rate = 1e-05\nlr_warmup_steps = \"100%\"\nseed = 1\n\n"
            "# Data\nresolution = \"512,768\"\n");
}

TEST(ConfigFile, RefusesTextThatTomlCannotHold) {
  TestOptions options;
  options.output_dir = "\xff";
  EXPECT_THROW(describe(options), std::logic_error);
  options.output_dir = "";
  const OptionTable table = describe(options);
  options.output_dir = "\xff";
  EXPECT_THROW(to_toml(table, true), Error);
}

TEST(ConfigFile, NeverOverwrites) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "config_file_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  TestOptions options;
  const OptionTable table = describe(options);
  options.seed = 4;
  write_config_file(table, folder / "a.toml");
  EXPECT_EQ(read_file(folder / "a.toml"), "# Training\nseed = 4\n");
  options.seed = 5;
  EXPECT_THROW(write_config_file(table, folder / "a.toml"), Error);
  EXPECT_EQ(read_file(folder / "a.toml"), "# Training\nseed = 4\n");
}

TEST(ConfigFile, AddsTheExtension) {
  EXPECT_EQ(with_toml_extension("a/b"), "a/b.toml");
  EXPECT_EQ(with_toml_extension("a/b.toml"), "a/b.toml");
  EXPECT_EQ(with_toml_extension("a.json"), "a.json.toml");
}

// Well-formed UTF-8 of any code points but NUL, with those that need care in TOML made likely.
rc::Gen<std::string> any_text() {
  const auto point =
      rc::gen::oneOf(rc::gen::inRange<uint32_t>(1, 0x80), rc::gen::inRange<uint32_t>(0x80, 0xd800),
                     rc::gen::inRange<uint32_t>(0xe000, 0x110000),
                     rc::gen::element<uint32_t>('"', '\'', '\\', '\n', '\r', 0x7f));
  return rc::gen::map(rc::gen::container<std::vector<uint32_t>>(point), [](const auto& points) {
    std::string text;
    for (const uint32_t p : points) {
      const auto tail = [p](int shift) { return static_cast<char>(0x80 | ((p >> shift) & 0x3f)); };
      if (p < 0x80) {
        text += static_cast<char>(p);
      } else if (p < 0x800) {
        text += {static_cast<char>(0xc0 | (p >> 6)), tail(0)};
      } else if (p < 0x10000) {
        text += {static_cast<char>(0xe0 | (p >> 12)), tail(6), tail(0)};
      } else {
        text += {static_cast<char>(0xf0 | (p >> 18)), tail(12), tail(6), tail(0)};
      }
    }
    return text;
  });
}

RC_GTEST_PROP(ConfigFile, WhatIsWrittenReadsBackTheSame, ()) {
  TestOptions options;
  const OptionTable table = describe(options);
  options.v2 = *rc::gen::arbitrary<bool>();
  options.persistent = *rc::gen::arbitrary<bool>();
  options.workers = *rc::gen::positive<int>();
  options.max_train_steps = *rc::gen::inRange<int64_t>(1, 1'000'000'000);
  options.learning_rate = *rc::gen::inRange<int64_t>(0, 1'000'000'000) / 1e9;
  options.caption_separator = *any_text();
  options.mixed_precision = *rc::gen::element<std::string>("no", "fp16", "bf16");
  options.output_dir = *any_text();
  if (*rc::gen::arbitrary<bool>()) options.seed = *rc::gen::arbitrary<int64_t>();
  if (*rc::gen::arbitrary<bool>()) options.output_name = *any_text();
  if (*rc::gen::arbitrary<bool>()) options.vae = *any_text();
  if (*rc::gen::arbitrary<bool>()) options.noise_offset = *rc::gen::arbitrary<double>();
  if (*rc::gen::arbitrary<bool>()) options.other_colour = Colour::kGreen;
  options.optimizer_args = *rc::gen::container<std::vector<std::string>>(any_text());
  options.resolution = Size2{*rc::gen::inRange(64, 4096), *rc::gen::inRange(64, 4096)};
  options.lr_warmup_steps = *rc::gen::element<StepsOrRatio>(
      StepsOrRatio{0, 0}, StepsOrRatio{100, 0}, StepsOrRatio{0, 1.0 / 3}, StepsOrRatio{0, 1});
  RC_PRE(!options.noise_offset || std::isfinite(*options.noise_offset));
  for (const bool all : {false, true}) {
    TestOptions again;
    OptionTable copy = describe(again);
    apply_toml(copy, to_toml(table, all), "f.toml");
    RC_ASSERT(record(copy) == record(table));
    RC_ASSERT(again.output_dir.native() == options.output_dir.native());
    RC_ASSERT(again.noise_offset == options.noise_offset);
    RC_ASSERT(again.lr_warmup_steps == options.lr_warmup_steps);
  }
}

}  // namespace
}  // namespace sdtune
