#include "data/dataset_config_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "data/dataset_config.h"

namespace sdtune {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A whole file with one line in general, a dataset or a subset.
std::string file_at(char level, const std::string& line) {
  const auto at = [&](char wanted) { return level == wanted ? line : ""; };
  return "[general]\n" + at('G') + "\n[[datasets]]\n" + at('D') +
         "\n[[datasets.subsets]]\nimage_dir = \"pictures\"\n" + at('S') + "\n";
}

// Where file_at() puts it.
std::string place_at(char level) {
  return fmt::format("@ set.toml:{} ", level == 'G' ? 2 : level == 'D' ? 4 : 7);
}

std::vector<DatasetOptions> parsed(const std::string& text) {
  DatasetOptions fallback;
  fallback.subsets.emplace_back();
  return parse_dataset_config(text, "set.toml", fallback);
}

std::string error_of(const std::string& text) {
  try {
    parsed(text);
  } catch (const UsageError& error) {
    return std::string(error.what()) + " @ " + error.where() + " > " + error.hint();
  }
  return "";
}

struct KeyCase {
  std::string line;    // key = a value that is not its default
  std::string levels;  // of G, D and S
  std::function<bool(const DatasetOptions&, const SubsetOptions&)> has_value;
};

using D = const DatasetOptions&;
using S = const SubsetOptions&;

std::vector<KeyCase> dataset_keys() {
  return {
      {"resolution = 640", "GD",
       [](D d, S) {
         return d.buckets.resolution == Size{640, 640};
       }},
      {"resolution = [640, 384]", "GD",
       [](D d, S) {
         return d.buckets.resolution == Size{640, 384};
       }},
      {"batch_size = 3", "GD", [](D d, S) { return d.batch_size == 3; }},
      {"enable_bucket = true", "GD", [](D d, S) { return d.buckets.enable; }},
      {"min_bucket_reso = 320", "GD", [](D d, S) { return d.buckets.min_reso == 320; }},
      {"max_bucket_reso = 2048", "GD", [](D d, S) { return d.buckets.max_reso == 2048; }},
      {"bucket_reso_steps = 128", "GD", [](D d, S) { return d.buckets.reso_steps == 128; }},
      {"bucket_no_upscale = true", "GD", [](D d, S) { return d.buckets.no_upscale; }},
      {"network_multiplier = 1", "GD", [](D, S) { return true; }},
      {"network_multiplier = -0.5", "GD", [](D, S) { return true; }},
      {"validation_split = 0", "GD", [](D, S) { return true; }},
      {"validation_seed = -4", "GD", [](D, S) { return true; }},
  };
}

std::vector<KeyCase> subset_keys() {
  return {
      {"metadata_file = 'm.json'", "S", [](D, S s) { return s.metadata_file == "m.json"; }},
      {"conditioning_data_dir = 'c'", "S", [](D, S s) { return s.mask_dir == "c"; }},
      {"loss_weight = 0.5", "GDS", [](D, S s) { return s.loss_weight == 0.5; }},
      {"resize_interpolation = 'cubic'", "GDS",
       [](D, S s) { return s.resize_interpolation == Interpolation::kBicubic; }},
      {"alpha_mask = true", "GDS", [](D, S s) { return s.alpha_mask; }},
      {"num_repeats = 5", "GDS", [](D, S s) { return s.num_repeats == 5; }},
      {"color_aug = true", "GDS", [](D, S s) { return s.color_aug; }},
      {"flip_aug = true", "GDS", [](D, S s) { return s.flip_aug; }},
      {"random_crop = true", "GDS", [](D, S s) { return s.random_crop; }},
      {"face_crop_aug_range = [1, 2.5]", "GDS",
       [](D, S s) {
         return s.face_crop_aug_range->low == 1 && s.face_crop_aug_range->high == 2.5;
       }},
      {"custom_attributes = {a = [1, 'x'], b = {}}", "GDS", [](D, S) { return true; }},
      {"caption_extension = '.txt'", "GDS", [](D, S s) { return s.caption_extension == ".txt"; }},
      {"class_tokens = 'dog'", "GDS", [](D, S s) { return s.class_tokens == "dog"; }},
      {"cache_info = true", "GDS", [](D, S) { return true; }},
      {"is_reg = false", "S", [](D, S) { return true; }},
  };
}

std::vector<KeyCase> caption_keys() {
  return {
      {"shuffle_caption = true", "GDS", [](D, S s) { return s.caption.shuffle_caption; }},
      {"enable_wildcard = true", "GDS", [](D, S s) { return s.caption.enable_wildcard; }},
      {"caption_separator = ';'", "GDS", [](D, S s) { return s.caption.caption_separator == ";"; }},
      {"keep_tokens = 2", "GDS", [](D, S s) { return s.caption.keep_tokens == 2; }},
      {"keep_tokens_separator = '|||'", "GDS",
       [](D, S s) { return s.caption.keep_tokens_separator == "|||"; }},
      {"secondary_separator = ';;;'", "GDS",
       [](D, S s) { return s.caption.secondary_separator == ";;;"; }},
      {"caption_prefix = 'p'", "GDS", [](D, S s) { return s.caption.caption_prefix == "p"; }},
      {"caption_suffix = 's'", "GDS", [](D, S s) { return s.caption.caption_suffix == "s"; }},
      {"token_warmup_min = 3", "GDS", [](D, S s) { return s.caption.token_warmup_min == 3; }},
      {"token_warmup_step = 100", "GDS", [](D, S s) { return s.caption.token_warmup_step == 100; }},
      {"token_warmup_step = 0.5", "GDS", [](D, S s) { return s.caption.token_warmup_step == 0.5; }},
      {"caption_dropout_rate = 0.1", "GDS",
       [](D, S s) { return s.caption.caption_dropout_rate == 0.1; }},
      {"caption_tag_dropout_rate = 1", "GDS",
       [](D, S s) { return s.caption.caption_tag_dropout_rate == 1; }},
      {"caption_dropout_every_n_epochs = 2", "GDS",
       [](D, S s) { return s.caption.caption_dropout_every_n_epochs == 2; }},
  };
}

void check_levels(const std::vector<KeyCase>& cases) {
  for (const KeyCase& key : cases) {
    for (const char level : {'G', 'D', 'S'}) {
      SCOPED_TRACE(std::string(1, level) + ": " + key.line);
      const std::string text = file_at(level, key.line);
      if (key.levels.find(level) == std::string::npos) {
        EXPECT_THAT(error_of(text), AllOf(HasSubstr("is no key of"), HasSubstr("accepted in"),
                                          HasSubstr(place_at(level))));
        continue;
      }
      const auto datasets = parsed(text);
      EXPECT_TRUE(key.has_value(datasets[0], datasets[0].subsets.at(0)));
    }
  }
}

TEST(DatasetConfigKeys, EveryKeySetsItsOptionAtItsLevels) {
  check_levels(dataset_keys());
  check_levels(subset_keys());
  check_levels(caption_keys());
}

TEST(DatasetConfigKeys, WrongValuesAreRefusedWithTheLineAndWhatIsAccepted) {
  for (const auto& [line, accepted] : std::vector<std::pair<std::string, std::string>>{
           {"flip_aug = 1", "true or false"},
           {"flip_aug = 'true'", "true or false"},
           {"num_repeats = 2.0", "num_repeats is 2.0"},
           {"num_repeats = '2'", "a whole number"},
           {"num_repeats = true", "a whole number"},
           {"keep_tokens = -1", "a whole number from 0 up to 1000000000"},
           {"caption_dropout_rate = 1.5", "a number from 0 up to 1"},
           {"caption_dropout_rate = nan", "a number from 0 up to 1"},
           {"caption_dropout_rate = '0.1'", "a number from 0 up to 1"},
           {"token_warmup_step = inf", "a number from 0"},
           {"caption_prefix = 3", "a text in quotes"},
           {"caption_prefix = ['a']", "caption_prefix is an array of 1"},
           {"caption_separator = ''", "at least one character"},
           {"custom_attributes = 'a'", "a table"},
           {"face_crop_aug_range = [2, 1]", "the smaller first"},
           {"face_crop_aug_range = [0, 1]", "above 0"},
           {"face_crop_aug_range = [1]", "two numbers"},
           {"face_crop_aug_range = [1, inf]", "two numbers"},
           {"resize_interpolation = 'lancsoz'", "did you mean lanczos"},
           {"resize_interpolation = 'no such'", "bicubic, cubic, area, box"},
           {"cache_info = 0", "true or false"}}) {
    SCOPED_TRACE(line);
    EXPECT_THAT(error_of(file_at('S', line)), AllOf(HasSubstr(accepted), HasSubstr(place_at('S'))));
  }
}

TEST(DatasetConfigKeys, WrongValuesOfDatasetsAreRefused) {
  for (const auto& [line, accepted] : std::vector<std::pair<std::string, std::string>>{
           {"resolution = '512'", "one whole number or [width, height]"},
           {"resolution = [512]", "one whole number or [width, height]"},
           {"resolution = [512, 512.0]", "one whole number or [width, height]"},
           {"resolution = 0", "from 8 to 65536"},
           {"batch_size = 0", "a whole number from 1 up to 4096"},
           {"min_bucket_reso = 100000", "up to 65536"},
           {"validation_split = 2", "a number from 0 up to 1"},
           {"validation_seed = 1.5", "a whole number, without quotes"},
           {"network_multiplier = inf", "a number, without"}}) {
    SCOPED_TRACE(line);
    EXPECT_THAT(error_of(file_at('D', line)), AllOf(HasSubstr(accepted), HasSubstr(place_at('D'))));
  }
}

TEST(DatasetConfigKeys, UnknownKeysGetASuggestionOrTheList) {
  EXPECT_THAT(error_of(file_at('S', "flipaug = true")),
              AllOf(HasSubstr("'flipaug' @ set.toml:7"), HasSubstr("did you mean flip_aug (in: "
                                                                   "general, datasets, "
                                                                   "datasets.subsets)")));
  EXPECT_THAT(error_of(file_at('S', "batchsize = 1")),
              HasSubstr("did you mean batch_size (in: general, datasets)?"));
  EXPECT_THAT(error_of(file_at('D', "quite_another = 1")),
              AllOf(HasSubstr("'datasets' takes: resolution, batch_size"),
                    Not(HasSubstr("metadata_file"))));
  EXPECT_THAT(error_of("batch_size = 1\n" + file_at('G', "")),
              AllOf(HasSubstr("'batch_size' at the top"), HasSubstr("set.toml:1")));
  EXPECT_THAT(error_of("[[dataset]]\n"), HasSubstr("did you mean datasets?"));
}

TEST(DatasetConfigKeys, WhatThisTrainerCannotDoIsRefusedWithAReason) {
  EXPECT_THAT(error_of(file_at('S', "is_reg = true")),
              AllOf(HasSubstr("prior loss"), HasSubstr("set.toml:7")));
}

}  // namespace
}  // namespace sdtune
