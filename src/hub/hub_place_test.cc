#include "hub/hub_place.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

TEST(HubPlace, ReadsModelIds) {
  const auto whole = parse_model_id("stabilityai/stable-diffusion-2-1");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->repo, "stabilityai/stable-diffusion-2-1");
  EXPECT_EQ(whole->revision, "main");
  EXPECT_EQ(whole->path, "");
  const auto file = parse_model_id("Some-One/v1.5/weights/model.fp16.safetensors@refs/pr/3");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->repo, "Some-One/v1.5");
  EXPECT_EQ(file->path, "weights/model.fp16.safetensors");
  EXPECT_EQ(file->revision, "refs/pr/3");
  EXPECT_EQ(name_of(*file), "Some-One/v1.5/weights/model.fp16.safetensors@refs/pr/3");
}

TEST(HubPlace, PathsAreNoIds) {
  for (const char* text : {"",
                           "model",
                           "model.safetensors",
                           "models/sd.safetensors",
                           "models/sd.ckpt",
                           "/org/name",
                           "./name",
                           "../name",
                           "~/name",
                           "org/name/",
                           "org//name",
                           "org/name/folder",
                           "org/na me",
                           "org/name.git",
                           "org/na--me",
                           "org/-name",
                           "org/name@",
                           "org/name@../x",
                           "org/name/../file.ckpt",
                           "org/name/a//b.ckpt",
                           "C:\\org\\name"}) {
    EXPECT_FALSE(parse_model_id(text)) << text;
  }
}

TEST(HubPlace, FoldersOnlyWhereTheyAreMeant) {
  const auto folder = parse_model_id("org/name/some/folder@v2", true);
  ASSERT_TRUE(folder);
  EXPECT_EQ(folder->path, "some/folder");
  EXPECT_EQ(folder->revision, "v2");
  for (const char* text : {"org/name/../x", "org/name/", "folder/model.onnx/..", "a/b/c//d"}) {
    EXPECT_FALSE(parse_model_id(text, true)) << text;
  }
}

TEST(HubPlace, ReadsPlacesOfStates) {
  const HubPlace plain = parse_state_place("me/mine/runs/last-state");
  EXPECT_EQ(plain.repo, "me/mine");
  EXPECT_EQ(plain.path, "runs/last-state");
  EXPECT_EQ(plain.revision, "main");
  EXPECT_EQ(plain.type, "model");
  const HubPlace full = parse_state_place("me/mine/last-state:second:dataset");
  EXPECT_EQ(full.revision, "second");
  EXPECT_EQ(full.type, "dataset");
  for (const char* text : {"", "me/mine", "me/mine/", "me/mine/a:b:c:d", "me/mine/../a",
                           "me/mine/a:main:planet", "me/mi ne/a"}) {
    EXPECT_THROW(parse_state_place(text), UsageError) << text;
  }
}

TEST(HubPlace, NamesFromServersStayBelowTheirFolder) {
  for (const char* good : {"a", "unet/config.json", "a b/c..d/.x", "größe.json"}) {
    EXPECT_TRUE(is_safe_path(good)) << good;
  }
  for (const char* bad : {"", "/etc/passwd", "..", "../a", "a/../b", "a/..", "./a", "a//b", "a/",
                          "a\\b", "a\nb", "a\x7f"}) {
    EXPECT_FALSE(is_safe_path(bad)) << bad;
  }
  EXPECT_FALSE(is_safe_path(std::string_view("a\0b", 3)));
}

TEST(HubPlace, CommitsAndUrls) {
  EXPECT_TRUE(is_commit("0123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(is_commit("0123456789abcdef0123456789abcdef0123456"));
  EXPECT_FALSE(is_commit("0123456789ABCDEF0123456789abcdef01234567"));
  EXPECT_EQ(percent_encode("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(percent_encode("a b/ü?#%.json", true), "a%20b/%C3%BC%3F%23%25.json");
}

}  // namespace
}  // namespace sdtune
