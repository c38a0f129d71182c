#include "models/sharded_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

class ShardedWeightsTest : public testing::Test {
 protected:
  ShardedWeightsTest()
      : folder_(fs::temp_directory_path() / ("shards-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~ShardedWeightsTest() override { fs::remove_all(folder_); }

  void write_shard(const std::string& file, const std::string& tensor, uint8_t value) {
    write_safetensors(folder_ / file, {{{tensor, DType::kU8, {1}}, [=](const ByteSink& sink) {
                                          sink(std::as_bytes(std::span(&value, 1)));
                                        }}});
  }
  fs::path write_index(const std::string& text) {
    write_file(folder_ / "m.safetensors.index.json", text);
    return folder_ / "m.safetensors.index.json";
  }
  std::string error_of_index(const std::string& text) {
    try {
      open_sharded_weights(write_index(text));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
};

TEST_F(ShardedWeightsTest, ReadsSeveralFilesAsOne) {
  write_shard("m-1.safetensors", "a", 7);
  write_shard("m-2.safetensors", "b", 9);
  const auto weights = open_sharded_weights(
      write_index(R"({"weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors"}})"));
  ASSERT_EQ(weights->tensors().size(), 2u);
  std::byte value{};
  weights->read(*weights->find("a"), {&value, 1});
  EXPECT_EQ(value, std::byte{7});
  weights->read(*weights->find("b"), {&value, 1});
  EXPECT_EQ(value, std::byte{9});
}

TEST_F(ShardedWeightsTest, RefusesPathsOutOfTheFolder) {
  for (const char* name : {"../m.safetensors", "/etc/passwd", "..", "", "a/b", "a\\\\b"}) {
    EXPECT_THAT(error_of_index(std::string(R"({"weight_map": {"a": ")") + name + "\"}}"),
                HasSubstr("no plain name"))
        << name;
  }
  EXPECT_THAT(error_of_index(R"({"weight_map": {"a": 1}})"), HasSubstr("no plain name"));
}

TEST_F(ShardedWeightsTest, RefusesABrokenIndex) {
  for (const char* text : {"", "[]", "{}", R"({"weight_map": []})", "{\"weight_map\": {"}) {
    EXPECT_THAT(error_of_index(text), HasSubstr("no index of weights")) << text;
  }
  EXPECT_THAT(error_of_index(R"({"weight_map": {}})"), HasSubstr("names 0 files"));
  write_shard("m-1.safetensors", "a", 7);
  EXPECT_THAT(error_of_index(R"({"weight_map": {"z": "m-1.safetensors"}})"),
              HasSubstr("holds tensor \"z\""));
}

}  // namespace
}  // namespace sdtune
