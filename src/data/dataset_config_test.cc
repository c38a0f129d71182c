#include "data/dataset_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>

#include "base/error.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

DatasetOptions fallback() {
  DatasetOptions options;
  options.has_resolution = false;
  options.subsets.emplace_back();
  return options;
}

std::vector<DatasetOptions> parse_toml_config(const std::string& text,
                                              const DatasetOptions& below = fallback()) {
  return parse_dataset_config(text, "set.toml", below);
}

std::vector<DatasetOptions> parse_json_config(const std::string& text) {
  return parse_dataset_config(text, "set.json", fallback());
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return std::string(error.what()) + " @ " + error.where() + " > " + error.hint();
  }
  return "";
}

std::string toml_error(const std::string& text) {
  return message_of([&] { parse_toml_config(text); });
}

std::string json_error(const std::string& text) {
  return message_of([&] { parse_json_config(text); });
}

// A whole file with one line at one of the three levels, on line 2, 4 or 7.
std::string file_with(const std::string& general, const std::string& dataset = "",
                      const std::string& subset = "") {
  return "[general]\n" + general + "\n[[datasets]]\n" + dataset +
         "\n[[datasets.subsets]]\nimage_dir = \"pictures\"\n" + subset + "\n";
}

TEST(DatasetConfig, AWholeFileIsRead) {
  const auto datasets = parse_toml_config(R"(
[general]
shuffle_caption = true
enable_bucket = true

[[datasets]]
resolution = [768, 512]
batch_size = 4

  [[datasets.subsets]]
  image_dir = "pictures"
  metadata_file = "meta.json"
  num_repeats = 2
  face_crop_aug_range = [1, 3]

  [[datasets.subsets]]
  image_dir = "more"
  caption_extension = ".txt"
  class_tokens = "a photograph"
  shuffle_caption = false

[[datasets]]
resolution = 1024
  [[datasets.subsets]]
  metadata_file = "meta.json"
)");
  ASSERT_EQ(datasets.size(), 2u);
  ASSERT_EQ(datasets[0].subsets.size(), 2u);
  ASSERT_EQ(datasets[1].subsets.size(), 1u);
  EXPECT_TRUE(datasets[0].has_resolution);
  EXPECT_EQ(datasets[0].buckets.resolution, (Size{768, 512}));
  EXPECT_EQ(datasets[1].buckets.resolution, (Size{1024, 1024}));
  EXPECT_TRUE(datasets[1].buckets.enable);
  EXPECT_EQ(datasets[0].batch_size, 4);
  EXPECT_EQ(datasets[1].batch_size, 1);
  const SubsetOptions& first = datasets[0].subsets[0];
  EXPECT_EQ(first.image_dir, "pictures");
  EXPECT_EQ(first.metadata_file, "meta.json");
  EXPECT_EQ(first.num_repeats, 2);
  ASSERT_TRUE(first.face_crop_aug_range);
  EXPECT_EQ(first.face_crop_aug_range->high, 3);
  EXPECT_TRUE(first.caption.shuffle_caption);
  const SubsetOptions& second = datasets[0].subsets[1];
  EXPECT_THAT(second.metadata_file.string(), IsEmpty());
  EXPECT_EQ(second.caption_extension, ".txt");
  EXPECT_EQ(second.class_tokens, "a photograph");
  EXPECT_FALSE(second.caption.shuffle_caption);
  EXPECT_FALSE(second.face_crop_aug_range);
}

TEST(DatasetConfig, JsonIsReadLikeToml) {
  const auto datasets = parse_json_config(R"({
    "datasets": [{"subsets": [{"image_dir": "a", "caption_dropout_rate": 1}],
                  "resolution": [640, 512], "batch_size": 3}],
    "general": {"caption_prefix": "é, ", "caption_tag_dropout_rate": 0.25}})");
  ASSERT_EQ(datasets.size(), 1u);
  EXPECT_EQ(datasets[0].buckets.resolution, (Size{640, 512}));
  EXPECT_EQ(datasets[0].batch_size, 3);
  const CaptionOptions& caption = datasets[0].subsets.at(0).caption;
  EXPECT_EQ(caption.caption_prefix, "é, ");
  EXPECT_EQ(caption.caption_dropout_rate, 1);
  EXPECT_EQ(caption.caption_tag_dropout_rate, 0.25);
}

TEST(DatasetConfig, TheNearerLevelCountsMore) {
  DatasetOptions below = fallback();
  below.subsets[0].caption.keep_tokens = 9;
  const auto keep_tokens = [&](const std::string& g, const std::string& d, const std::string& s) {
    const auto line = [](const std::string& value) {
      return value.empty() ? "" : "keep_tokens = " + value;
    };
    return parse_toml_config(file_with(line(g), line(d), line(s)), below)[0]
        .subsets.at(0)
        .caption.keep_tokens;
  };
  EXPECT_EQ(keep_tokens("", "", ""), 9);
  EXPECT_EQ(keep_tokens("1", "", ""), 1);
  EXPECT_EQ(keep_tokens("", "2", ""), 2);
  EXPECT_EQ(keep_tokens("", "", "3"), 3);
  EXPECT_EQ(keep_tokens("1", "2", ""), 2);
  EXPECT_EQ(keep_tokens("1", "", "3"), 3);
  EXPECT_EQ(keep_tokens("", "2", "3"), 3);
  EXPECT_EQ(keep_tokens("1", "2", "3"), 3);
  EXPECT_EQ(keep_tokens("1", "0", ""), 0);
}

TEST(DatasetConfig, DatasetKeysFallBackToGeneralAndTheCommandLine) {
  DatasetOptions below = fallback();
  below.batch_size = 7;
  const auto batch = [&](const std::string& g, const std::string& d) {
    return parse_toml_config(file_with(g, d), below)[0].batch_size;
  };
  EXPECT_EQ(batch("", ""), 7);
  EXPECT_EQ(batch("batch_size = 2", ""), 2);
  EXPECT_EQ(batch("", "batch_size = 3"), 3);
  EXPECT_EQ(batch("batch_size = 2", "batch_size = 3"), 3);
  EXPECT_FALSE(parse_toml_config(file_with(""), below)[0].has_resolution);
  EXPECT_TRUE(parse_toml_config(file_with("resolution = 512"), below)[0].has_resolution);
}

TEST(DatasetConfig, TheFileCanSwitchOffWhatTheCommandLineSwitchesOn) {
  DatasetOptions below = fallback();
  below.buckets.enable = true;
  below.subsets[0].flip_aug = true;
  const auto datasets =
      parse_toml_config(file_with("flip_aug = false", "enable_bucket = false"), below);
  EXPECT_FALSE(datasets[0].buckets.enable);
  EXPECT_FALSE(datasets[0].subsets[0].flip_aug);
}

TEST(DatasetConfig, OneDatasetsValuesDoNotReachTheNext) {
  const auto datasets = parse_toml_config(R"(
[[datasets]]
batch_size = 5
flip_aug = true
[[datasets.subsets]]
image_dir = "a"
random_crop = true
[[datasets.subsets]]
image_dir = "b"
[[datasets]]
[[datasets.subsets]]
image_dir = "a"
)");
  EXPECT_FALSE(datasets[0].subsets[1].random_crop);
  EXPECT_TRUE(datasets[0].subsets[1].flip_aug);
  EXPECT_EQ(datasets[1].batch_size, 1);
  EXPECT_FALSE(datasets[1].subsets[0].flip_aug);
}

TEST(DatasetConfig, TheCommandLinesOwnPicturesDoNotCount) {
  DatasetOptions below = fallback();
  below.subsets[0].image_dir = "of_the_command_line";
  below.subsets[0].metadata_file = "of_the_command_line.json";
  EXPECT_THAT(parse_toml_config(file_with(""), below)[0].subsets[0].metadata_file.string(),
              IsEmpty());
}

TEST(DatasetConfig, FilesWithoutDatasetsOrSubsetsAreRefused) {
  EXPECT_THAT(toml_error(""), HasSubstr("names no dataset"));
  EXPECT_THAT(toml_error("[general]\nflip_aug = true\n"), HasSubstr("names no dataset"));
  EXPECT_THAT(toml_error("datasets = []"), HasSubstr("names no dataset"));
  EXPECT_THAT(toml_error("\n[[datasets]]\nbatch_size = 2\n"),
              HasSubstr("the dataset has no subsets @ set.toml:2"));
  EXPECT_THAT(toml_error("[[datasets]]\nsubsets = []\n"), HasSubstr("has no subsets"));
  EXPECT_THAT(toml_error("[datasets]\nbatch_size = 2\n"), HasSubstr("[[datasets]]"));
  EXPECT_THAT(toml_error("[[datasets]]\n[datasets.subsets]\nimage_dir = 'a'\n"),
              HasSubstr("[[datasets.subsets]]"));
  EXPECT_THAT(toml_error("general = 3\n"), HasSubstr("general is 3"));
  EXPECT_THAT(toml_error("[[datasets]]\n[[datasets.subsets]]\nnum_repeats = 1\n"),
              HasSubstr("the subset names no pictures @ set.toml:2"));
}

TEST(DatasetConfig, JsonErrorsNameTheKeysThatLeadThere) {
  EXPECT_THAT(json_error(R"({"datasets": [{"subsets": [{"image_dir": "a", "flip_aug": 1}]}]})"),
              HasSubstr("flip_aug is 1 @ set.json: datasets[0].subsets[0].flip_aug > give true"));
  EXPECT_THAT(json_error(R"({"general": {"caption_prefix": null}})"),
              HasSubstr("caption_prefix is null @ set.json: general.caption_prefix"));
  EXPECT_THAT(json_error(R"({"general": {"caption_prefix": "a\u0000b"}})"),
              HasSubstr("a character that no text may have"));
  EXPECT_THAT(json_error(R"({"general": {"flip_aug": true, "flip_aug": false}})"),
              HasSubstr("\"flip_aug\" is given twice"));
  EXPECT_THAT(json_error("{\n\"general\": {\n\"flip_aug\": true,\n}}"), HasSubstr("set.json:4"));
  EXPECT_THAT(json_error("{\"datasets\": 18446744073709551615}"), HasSubstr("too large"));
  EXPECT_THAT(json_error(std::string(100'000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(json_error(""), HasSubstr("not a valid JSON"));
  EXPECT_THAT(json_error("3"), HasSubstr("not a table"));
  EXPECT_THAT(json_error("[]"), HasSubstr("not a table"));
}

TEST(DatasetConfig, SubsetsThatDoNotCountAreLeftOut) {
  testing::internal::CaptureStderr();
  const auto datasets = parse_toml_config(R"(
[[datasets]]
[[datasets.subsets]]
metadata_file = "m.json"
[[datasets.subsets]]
metadata_file = "./x/../m.json"
image_dir = "elsewhere"
[[datasets.subsets]]
image_dir = "a"
[[datasets.subsets]]
image_dir = "a/"
[[datasets.subsets]]
image_dir = "a"
metadata_file = "n.json"
[[datasets.subsets]]
image_dir = "b"
num_repeats = 0
[[datasets]]
num_repeats = -1
[[datasets.subsets]]
metadata_file = "m.json"
[[datasets]]
[[datasets.subsets]]
metadata_file = "m.json"
)");
  const std::string log = testing::internal::GetCapturedStderr();
  ASSERT_EQ(datasets.size(), 2u);
  ASSERT_EQ(datasets[0].subsets.size(), 3u);
  EXPECT_EQ(datasets[0].subsets[0].metadata_file, "m.json");
  EXPECT_EQ(datasets[0].subsets[1].image_dir, "a");
  EXPECT_EQ(datasets[0].subsets[2].metadata_file, "n.json");
  EXPECT_THAT(log, AllOf(HasSubstr("set.toml:5: the subset is left out: ./x/../m.json"),
                         HasSubstr("set.toml:10: the subset is left out: a/"),
                         HasSubstr("b is left out: its num_repeats is 0"),
                         HasSubstr("set.toml:20: the subset m.json is left out")));
  EXPECT_THAT(toml_error(file_with("num_repeats = 0")), HasSubstr("num_repeats of at least 1"));
}

TEST(DatasetConfig, ASplitThatIsAskedForIsWarnedOf) {
  testing::internal::CaptureStderr();
  parse_toml_config(file_with("validation_split = 0.1"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("set.toml:2: validation_split"));
  testing::internal::CaptureStderr();
  parse_toml_config(file_with("validation_split = 0"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), IsEmpty());
}

TEST(DatasetConfig, RelativePathsAreAlsoSoughtBesideTheFile) {
  const TestFolder folder;
  folder.write("sets/set.toml",
               "[[datasets]]\n[[datasets.subsets]]\nimage_dir = \"pics\"\n"
               "metadata_file = \"only_by_name.json\"\nconditioning_data_dir = \"masks\"\n");
  fs::create_directories(folder / "sets/pics");
  fs::create_directories(folder / "sets/masks");
  const auto datasets = read_dataset_config(folder / "sets/set.toml", fallback());
  EXPECT_EQ(datasets[0].subsets[0].image_dir, folder / "sets/pics");
  EXPECT_EQ(datasets[0].subsets[0].mask_dir, folder / "sets/masks");
  EXPECT_EQ(datasets[0].subsets[0].metadata_file, "only_by_name.json");

  fs::create_directories(folder / "pics");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  const auto from_here = read_dataset_config(folder / "sets/set.toml", fallback());
  fs::current_path(before);
  EXPECT_EQ(from_here[0].subsets[0].image_dir, "pics");
}

TEST(DatasetConfig, TheNameDecidesTheFormat) {
  const TestFolder folder;
  folder.write("SET.JSON", R"({"datasets": [{"subsets": [{"image_dir": "a"}]}]})");
  folder.write("Set.Toml", file_with(""));
  folder.write("set.yaml", "");
  EXPECT_EQ(read_dataset_config(folder / "SET.JSON", fallback()).size(), 1u);
  EXPECT_EQ(read_dataset_config(folder / "Set.Toml", fallback()).size(), 1u);
  EXPECT_THAT(message_of([&] { read_dataset_config(folder / "set.yaml", fallback()); }),
              HasSubstr(".toml"));
  EXPECT_THROW(read_dataset_config(folder / "none.toml", fallback()), Error);
}

TEST(ParseInterpolation, KnowsEachNameInAnyCase) {
  const std::vector<std::pair<std::string, Interpolation>> names = {
      {"lanczos", Interpolation::kLanczos},   {"nearest", Interpolation::kNearest},
      {"bilinear", Interpolation::kBilinear}, {"linear", Interpolation::kBilinear},
      {"bicubic", Interpolation::kBicubic},   {"cubic", Interpolation::kBicubic},
      {"area", Interpolation::kArea},         {"box", Interpolation::kBox},
      {"LANCZOS", Interpolation::kLanczos}};
  for (const auto& [name, value] : names) EXPECT_EQ(parse_interpolation(name, ""), value) << name;
  EXPECT_THAT(message_of([] { parse_interpolation("", "--resize_interpolation"); }),
              AllOf(HasSubstr("@ --resize_interpolation"), HasSubstr("give one of: lanczos")));
}

// Whatever a file holds, it is read or refused with a UsageError.
void read_or_refuse(const std::string& text) {
  for (const char* name : {"set.toml", "set.json"}) {
    try {
      for (const DatasetOptions& dataset : parse_dataset_config(text, name, fallback())) {
        RC_ASSERT(!dataset.subsets.empty());
      }
    } catch (const UsageError&) {
    }
  }
}

RC_GTEST_PROP(DatasetConfigProperty, AnyBytesAreReadOrRefused, ()) {
  read_or_refuse(*rc::gen::arbitrary<std::string>());
}

std::string damaged(std::string text) {
  for (int edits = *rc::gen::inRange(1, 6); edits > 0; --edits) {
    const size_t at = *rc::gen::inRange<size_t>(0, text.size());
    if (*rc::gen::arbitrary<bool>()) {
      text[at] = *rc::gen::element('[', ']', '{', '}', '"', '\'', '\\', '=', ',', '.', '\n', '9',
                                   '-', 'e', '\0', '\x80', '\xff');
    } else {
      text.erase(at, *rc::gen::inRange<size_t>(1, 8));
      text += ' ';
    }
  }
  return text;
}

TEST(DatasetConfigProperty, DamagedFilesAreReadOrRefused) {
  testing::internal::CaptureStderr();  // repeats may become 0, which is warned of
  const bool held = rc::check([] {
    read_or_refuse(damaged(*rc::gen::element<std::string>(
        file_with("keep_tokens = 1", "resolution = [512, 768]", "caption_prefix = \"a\\n\""),
        R"({"general": {"keep_tokens": 1}, "datasets": [{"resolution": [512, 768],
            "subsets": [{"image_dir": "é", "num_repeats": 3, "face_crop_aug_range": [1, 2e1]}]}]})")));
  });
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(held) << log;
}

}  // namespace
}  // namespace sdtune
