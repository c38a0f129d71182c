#include "generate/prompt_line.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace sdtune {
namespace {

using testing::ElementsAre;

PromptLine parse(std::string_view line) { return parse_prompt_line(line, {}, "here:3"); }

TEST(PromptLine, TakesEveryOption) {
  const PromptLine line = parse(
      " a cat, (black:1.2) --n blurry, bad --W 768 --h 640 --s 28 --l 6.5 --nl -1.5 --t "
      "0.4 --d 1, 2,3 --ss euler_a --f my cat ");
  EXPECT_EQ(line.request.prompt, "a cat, (black:1.2)");
  EXPECT_EQ(line.request.negative_prompt, "blurry, bad");
  EXPECT_EQ(line.request.width, 768);
  EXPECT_EQ(line.request.height, 640);
  EXPECT_EQ(line.request.steps, 28);
  EXPECT_EQ(line.request.scale, 6.5);
  EXPECT_EQ(line.request.negative_scale, -1.5);
  EXPECT_EQ(line.request.strength, 0.4);
  EXPECT_EQ(line.request.sampler, "euler_a");
  EXPECT_EQ(line.file_name, "my cat");
  EXPECT_THAT(line.seeds, ElementsAre(1u, 2u, 3u));
}

TEST(PromptLine, KeepsDefaultsAndTakesThemBack) {
  PictureRequest defaults;
  defaults.negative_prompt = "bad";
  defaults.negative_scale = 2;
  defaults.width = 320;
  const PromptLine kept = parse_prompt_line("a", defaults, "");
  EXPECT_EQ(kept.request.negative_prompt, "bad");
  EXPECT_EQ(kept.request.negative_scale, 2);
  EXPECT_EQ(kept.request.width, 320);
  EXPECT_TRUE(kept.seeds.empty());
  EXPECT_EQ(parse_prompt_line("a --nl None", defaults, "").request.negative_scale, std::nullopt);
}

TEST(PromptLine, WordsBeforeTheFirstOptionArePrompt) {
  const PromptLine line = parse("w 77 n girl --s 5");
  EXPECT_EQ(line.request.prompt, "w 77 n girl");
  EXPECT_EQ(line.request.width, 512);
  EXPECT_EQ(line.request.negative_prompt, "");
  EXPECT_EQ(line.request.steps, 5);
}

TEST(PromptLine, MayBeOptionsAlone) {
  EXPECT_EQ(parse("--n bad").request.prompt, "");
  EXPECT_EQ(parse("--n bad").request.negative_prompt, "bad");
}

TEST(PromptLine, PassesOverWhatIsNotHere) {
  const PromptLine line = parse("a --am 0.5 --glt 600 --zzz 1 --w 128");
  EXPECT_EQ(line.request.prompt, "a");
  EXPECT_EQ(line.request.width, 128);
}

TEST(PromptLine, RefusesWrongValues) {
  for (const char* line : {"a --w", "a --w x", "a --w 12.5", "a --w 32", "a --s 0", "a --s 1001",
                           "a --d 1,,2", "a --d -1", "a --l nan", "a --t 1.5"}) {
    try {
      parse(line);
      ADD_FAILURE() << line;
    } catch (const UsageError& error) {
      EXPECT_EQ(error.where(), "here:3");
    }
  }
}

}  // namespace
}  // namespace sdtune
