#include "generate/prompt_file.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

std::vector<PromptLine> read(const std::string& name, const std::string& text) {
  const TestFolder folder;
  folder.write(name, text);
  PictureRequest defaults;
  defaults.steps = 30;
  return read_prompt_file(folder / name, defaults);
}

std::string why_refused(const std::string& name, const std::string& text) {
  try {
    read(name, text);
  } catch (const Error& error) {
    return std::string(error.what()) + " @" + error.where().substr(error.where().rfind('/') + 1) +
           " " + error.hint();
  }
  return "";
}

TEST(PromptFile, OfLines) {
  const auto prompts = read("a.txt",
                            "\xef\xbb\xbf"
                            "a cat --w 128\r\n\n  # no\n a dog --d 7");
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0].request.prompt, "a cat");
  EXPECT_EQ(prompts[0].request.width, 128);
  EXPECT_EQ(prompts[0].request.steps, 30);
  EXPECT_EQ(prompts[1].request.prompt, "a dog");
  EXPECT_EQ(prompts[1].seeds, std::vector<uint64_t>{7});
}

TEST(PromptFile, OfJson) {
  const auto prompts = read("a.json", R"(["a cat --s 5", {"prompt": "a dog --s 5", "scale": 3,
      "negative_prompt": "x", "seed": 9, "sample_sampler": "euler", "height": 256, "width": null}])");
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0].request.steps, 5);
  const PictureRequest& dog = prompts[1].request;
  EXPECT_EQ(dog.prompt, "a dog --s 5");
  EXPECT_EQ(dog.steps, 30);
  EXPECT_EQ(dog.scale, 3);
  EXPECT_EQ(dog.negative_prompt, "x");
  EXPECT_EQ(dog.sampler, "euler");
  EXPECT_EQ(dog.height, 256);
  EXPECT_EQ(dog.width, 512);
  EXPECT_EQ(prompts[1].seeds, std::vector<uint64_t>{9});
}

TEST(PromptFile, OfToml) {
  const auto prompts = read("a.toml",
                            "[prompt]\nwidth = 64\nscale = 2\nseed = 4\n"
                            "[[prompt.subset]]\nprompt = \"a\"\n"
                            "[[prompt.subset]]\nprompt = \"b\"\nwidth = 128\nseed = 5\n");
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0].request.width, 64);
  EXPECT_EQ(prompts[0].seeds, std::vector<uint64_t>{4});
  EXPECT_EQ(prompts[1].request.width, 128);
  EXPECT_EQ(prompts[1].request.scale, 2);
  EXPECT_EQ(prompts[1].seeds, std::vector<uint64_t>{5});
}

TEST(PromptFile, SaysWhatIsWrong) {
  EXPECT_THAT(why_refused("a.toml", "[prompt]\n[[prompt.subset]]\nwidht = 64\n"),
              testing::AllOf(testing::HasSubstr("widht"), testing::HasSubstr("a.toml:3"),
                             testing::HasSubstr("width")));
  EXPECT_THAT(why_refused("a.json", R"([{"width": "wide"}])"), testing::HasSubstr("wide"));
  EXPECT_THAT(why_refused("a.json", R"([{"width": [1]}])"), testing::HasSubstr("width"));
  EXPECT_THAT(why_refused("a.json", R"([1])"), testing::HasSubstr("prompt"));
  EXPECT_THAT(why_refused("a.json", R"({"a": 1})"), testing::HasSubstr("list"));
  EXPECT_THAT(why_refused("a.json", "[]"), testing::HasSubstr("no prompts"));
  EXPECT_THAT(why_refused("a.toml", "x = 1"), testing::HasSubstr("no prompts"));
  EXPECT_THAT(why_refused("a.txt", "# nothing\n"), testing::HasSubstr("no prompts"));
  EXPECT_THAT(why_refused("a.txt", "a --w 1"), testing::HasSubstr("a.txt:1"));
  EXPECT_THAT(why_refused("a.txt", "\xff"), testing::HasSubstr("UTF-8"));
}

}  // namespace
}  // namespace sdtune
