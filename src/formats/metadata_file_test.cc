#include "formats/metadata_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "formats/test_files.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

class MetadataFiles : public testing::Test {
 protected:
  MetadataFile read(const std::string& text, const std::string& name = "meta.json") {
    return MetadataFile::read(folder_.write(name, text));
  }
  std::string rewritten(const std::string& text, const std::string& from = "in.json",
                        const std::string& to = "out.json") {
    read(text, from).write(folder_ / to);
    return file_bytes(folder_ / to);
  }
  std::string error_of(const std::string& text, const std::string& name = "meta.json") {
    try {
      read(text, name);
    } catch (const Error& error) {
      return std::string(error.what()) + " @ " + error.where();
    }
    return "";
  }

  TemporaryFolder folder_;
};

std::vector<std::string> keys_of(const MetadataFile& file) {
  std::vector<std::string> keys;
  for (const MetadataEntry& entry : file.entries()) keys.push_back(entry.key());
  return keys;
}

TEST_F(MetadataFiles, KeepsTheOrderAndFindsByKey) {
  const auto file = read(R"({"b": {"caption": "x"}, "a": {}, "ü/c.png": {"tags": "t"}})");
  EXPECT_THAT(keys_of(file), ElementsAre("b", "a", "ü/c.png"));
  ASSERT_NE(file.find("ü/c.png"), nullptr);
  EXPECT_EQ(file.find("ü/c.png")->text("tags"), "t");
  EXPECT_EQ(file.find("d"), nullptr);
}

TEST_F(MetadataFiles, FieldsAreReadWithTheirTypes) {
  const auto file =
      read(R"({"a": {"caption": "tw\no \u00e9", "tags": null, "image_size": [5, 65536], "n": 3,
               "train_resolution": [512, 640]}})");
  const MetadataEntry& entry = file.entries()[0];
  EXPECT_EQ(entry.text("caption"), "tw\no é");
  EXPECT_EQ(entry.text("tags"), std::nullopt);
  EXPECT_EQ(entry.text("absent"), std::nullopt);
  EXPECT_TRUE(entry.has("tags"));
  EXPECT_FALSE(entry.has("absent"));
  EXPECT_EQ(entry.size("image_size"), (PixelSize{5, 65536}));
  EXPECT_EQ(entry.size("train_resolution", 8), (PixelSize{512, 640}));
  EXPECT_EQ(entry.size("absent"), std::nullopt);
  EXPECT_THAT(refusal([&] { entry.text("n"); }), HasSubstr("\"a\" has a n that is not a string"));
  EXPECT_THAT(refusal([&] { entry.size("n"); }), HasSubstr("[width, height] in whole pixels"));
  EXPECT_THAT(refusal([&] { entry.size("image_size", 8); }), HasSubstr("in multiples of 8"));
}

TEST_F(MetadataFiles, SizesThatAreNoneAreRefused) {
  for (const char* size :
       {"[512]", "[512, 0]", "[512, -8]", "[512.0, 512]", "\"512\"", "[8, 65537]",
        "[18446744073709551615, 8]", "{}", "[8, 8, 8]", "[null, 8]"}) {
    const auto file = read(std::string(R"({"a": {"s": )") + size + "}}");
    EXPECT_THROW(file.entries()[0].size("s"), Error) << size;
  }
}

TEST_F(MetadataFiles, IsWrittenAsPythonsJsonModuleWrites) {
  EXPECT_EQ(
      rewritten(
          R"({"é":{"caption":"a\"\\\n\u007f\ud83d\ude00/","x":[],"y":{},"z":[1,[2,{"k":"[,]"}]]},
                          "b":{}})"),
      R"({
  "\u00e9": {
    "caption": "a\"\\\n\u007f\ud83d\ude00/",
    "x": [],
    "y": {},
    "z": [
      1,
      [
        2,
        {
          "k": "[,]"
        }
      ]
    ]
  },
  "b": {}
})");
  EXPECT_EQ(rewritten(" {} "), "{}");
}

TEST_F(MetadataFiles, UnknownValuesSurviveToTheLastDigit) {
  const std::string text = R"({
  "a": {
    "big": 123456789012345678901234567890,
    "long": 0.1000000000000000055511151231257827,
    "exponent": 1.50E+3,
    "negative": -7,
    "unsigned": 18446744073709551615,
    "truth": [
      true,
      false,
      null
    ]
  }
})";
  EXPECT_EQ(rewritten(text), text);
}

TEST_F(MetadataFiles, ChangedFieldsKeepTheirPlaceAndNewOnesComeLast) {
  auto file = read(R"({"a": {"caption": "old", "x": 1}})");
  MetadataEntry* entry = file.find("a");
  entry->set_text("caption", "new");
  entry->set_size("image_size", {4, 2});
  file.find_or_add("b").set_text("tags", "t");
  EXPECT_EQ(&file.find_or_add("a"), file.find("a"));
  file.write(folder_ / "out.jsonl");
  EXPECT_EQ(file_bytes(folder_ / "out.jsonl"),
            "{\"image_path\": \"a\", \"caption\": \"new\", \"x\": 1, \"image_size\": [4, 2]}\n"
            "{\"image_path\": \"b\", \"tags\": \"t\"}\n");
}

TEST_F(MetadataFiles, RefusesTextThatIsNotUtf8) {
  auto file = read(R"({"a": {}})");
  EXPECT_THAT(refusal([&] { file.find("a")->set_text("caption", "\xff"); }),
              HasSubstr("\"a\" cannot have a caption that is not UTF-8"));
  EXPECT_THAT(refusal([&] { file.find_or_add("caf\xe9"); }), HasSubstr("not UTF-8"));
  EXPECT_EQ(file.entries().size(), 1u);
}

TEST_F(MetadataFiles, LinesAreReadAndWrittenByTheirName) {
  const std::string lines =
      "\xef\xbb\xbf{\"caption\": \"one\", \"image_path\": \"/d/a.png\", \"x\": {\"y\": [1]}}\r\n"
      "\n  \n"
      "{\"image_path\": \"b\"}";
  const auto file = read(lines, "m.jsonl");
  EXPECT_THAT(keys_of(file), ElementsAre("/d/a.png", "b"));
  EXPECT_EQ(file.entries()[0].text("caption"), "one");
  EXPECT_FALSE(file.entries()[0].has("image_path"));
  EXPECT_EQ(rewritten(lines, "in.jsonl", "out.jsonl"),
            "{\"image_path\": \"/d/a.png\", \"caption\": \"one\", \"x\": {\"y\": [1]}}\n"
            "{\"image_path\": \"b\"}\n");
  EXPECT_EQ(rewritten("", "in.jsonl", "out.json"), "{}");
  // Only the exact name means lines.
  EXPECT_THAT(error_of(lines, "m.JSONL"), HasSubstr("not an object"));
}

TEST_F(MetadataFiles, OfRepeatedKeysTheLastCounts) {
  const auto object = read(R"({"a": {"caption": "1", "x": 1}, "b": {}, "a": {"caption": "2"}})");
  EXPECT_THAT(keys_of(object), ElementsAre("a", "b"));
  EXPECT_EQ(object.find("a")->text("caption"), "2");
  EXPECT_FALSE(object.find("a")->has("x"));
  const auto lines = read(
      "{\"image_path\": \"a\", \"caption\": \"1\"}\n{\"image_path\": \"a\", \"caption\": \"2\"}\n",
      "m.jsonl");
  ASSERT_EQ(lines.entries().size(), 1u);
  EXPECT_EQ(lines.entries()[0].text("caption"), "2");
  const auto field = read(R"({"a": {"x": "1", "y": "", "x": "2"}})");
  EXPECT_EQ(field.find("a")->text("x"), "2");
  EXPECT_EQ(field.find("a")->fields().size(), 2u);
}

TEST_F(MetadataFiles, FaultsNameFileLineAndKey) {
  EXPECT_THAT(error_of(R"({"img1": 3})"), HasSubstr("\"img1\" is not an object"));
  EXPECT_THAT(error_of(R"({"img1": [{}]})"), HasSubstr("\"img1\" is not an object"));
  EXPECT_THAT(error_of(R"({"img1": null})"), HasSubstr("meta.json"));
  EXPECT_THAT(error_of("[1, 2]"), HasSubstr("not one JSON object"));
  EXPECT_THAT(error_of("3"), HasSubstr("not one JSON object"));
  EXPECT_THAT(error_of("{\n\"a\": {},\n x}"), HasSubstr("line 3, column 2"));
  const std::string good = "{\"image_path\": \"a\"}\n";
  EXPECT_THAT(error_of(good + "{\"caption\": \"c\"}", "m.jsonl"),
              HasSubstr("has no image_path @ " + (folder_ / "m.jsonl").string() + ", line 2"));
  EXPECT_THAT(error_of(good + "\n{\"image_path\": 3}", "m.jsonl"), HasSubstr("line 3"));
  EXPECT_THAT(error_of(good + "[]", "m.jsonl"), HasSubstr("is not an object"));
  const std::string broken = error_of(good + "{\"image_path\": ", "m.jsonl");
  EXPECT_THAT(broken, HasSubstr("line 2"));
  EXPECT_THAT(broken, testing::Not(HasSubstr("line 1")));
}

TEST_F(MetadataFiles, BadJsonIsRefused) {
  for (const char* json : {"", "{", "{\"a\": {}", "{\"a\": {}} {}", "{\"a\": {\"c\": \"\xff\"}}",
                           "{\"a\": {\"c\": NaN}}", "{\"a\": {\"c\": 1e999}}", "{\"a\": {},}"}) {
    EXPECT_THAT(error_of(json), HasSubstr("no valid JSON")) << json;
  }
  EXPECT_THAT(error_of(std::string("{}\0{", 4)), HasSubstr("zero byte"));
  EXPECT_LT(error_of("{\"a" + std::string(100'000, 'x')).size(), 1000u);
  EXPECT_THROW(MetadataFile::read(folder_ / "absent.json"), Error);
}

TEST_F(MetadataFiles, DepthAndFieldsAreLimited) {
  const auto nested = [](int levels) {
    return "{\"a\": {\"x\": " + std::string(levels, '[') + std::string(levels, ']') + "}}";
  };
  EXPECT_EQ(error_of(nested(30)), "");
  EXPECT_THAT(error_of(nested(31)), HasSubstr("nested deeper than 32"));
  EXPECT_THAT(error_of("{\"a\": {\"x\": " + std::string(1'000'000, '[')), HasSubstr("nested"));
  const auto wide = [](int fields) {
    std::string text = "{\"a\": {\"f0\": 0";
    for (int i = 1; i < fields; ++i) text += ", \"f" + std::to_string(i) + "\": 0";
    return text + "}}";
  };
  EXPECT_EQ(error_of(wide(1024)), "");
  EXPECT_THAT(error_of(wide(1025)), HasSubstr("\"a\" has more than 1024 fields"));
}

TEST_F(MetadataFiles, HundredThousandEntriesComeBack) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) {
    text += (i == 0 ? "" : ",") + std::string("\"/data/pictures/img") + std::to_string(i) +
            ".png\": {\"caption\": \"a picture of something\", \"tags\": \"1girl, solo, "
            "looking at viewer\", \"image_size\": [1024, 768]}";
  }
  const auto path = folder_.write("meta.json", text + "}");
  auto file = MetadataFile::read(path);
  size_t bytes = 0;
  for (const MetadataEntry& entry : file.entries()) {
    bytes += entry.text("caption")->size() +
             static_cast<size_t>(file.find(entry.key())->size("image_size")->width);
  }
  EXPECT_EQ(bytes, 100'000u * (22 + 1024));
  file.write(folder_ / "out.json");
  EXPECT_EQ(MetadataFile::read(folder_ / "out.json").entries().size(), 100'000u);
}

Json any_value(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 7 : 5)) {
    case 0:
      return *rc::gen::arbitrary<int64_t>();
    case 1:
      return *rc::gen::arbitrary<double>();
    case 2:
      return *rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)) + "ü";
    case 3:
      return *rc::gen::arbitrary<bool>();
    case 4:
      return nullptr;
    case 5: {
      Json array = Json::array();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) array.push_back(any_value(depth - 1));
      return array;
    }
    default: {
      Json object = Json::object();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
        object[*rc::gen::container<std::string>(rc::gen::inRange<char>(32, 127))] =
            any_value(depth - 1);
      }
      return object;
    }
  }
}

RC_GTEST_PROP(MetadataProperty, RewritingChangesNoValue, ()) {
  const TemporaryFolder folder;
  Json json = Json::object();
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    Json& entry = json["key" + std::to_string(i)] = Json::object();
    for (int k = *rc::gen::inRange(0, 4); k > 0; --k) entry[std::to_string(k)] = any_value(3);
  }
  MetadataFile::read(folder.write("a.json", json.dump())).write(folder / "b.json");
  RC_ASSERT(file_bytes(folder / "b.json") == json.dump(2, ' ', true));
  MetadataFile::read(folder / "b.json").write(folder / "c.jsonl");
  MetadataFile::read(folder / "c.jsonl").write(folder / "d.json");
  RC_ASSERT(file_bytes(folder / "d.json") == file_bytes(folder / "b.json"));
}

RC_GTEST_PROP(MetadataProperty, ChangedBytesAreReadOrRefused, ()) {
  const TemporaryFolder folder;
  std::string text = R"({"a": {"caption": "\u00e9x", "n": [1.5, {"k": null}]}, "b": {}})";
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
    text[*rc::gen::inRange<size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
  }
  const auto path = folder.write("a.json", text);
  refusal([&] {
    MetadataFile::read(path).write(folder / "b.json");
    const std::string once = file_bytes(folder / "b.json");
    MetadataFile::read(folder / "b.json").write(folder / "c.json");
    RC_ASSERT(file_bytes(folder / "c.json") == once);
  });
}

}  // namespace
}  // namespace sdtune
