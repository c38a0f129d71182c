#include "models/blip.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/random_init.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

BlipConfig small_config() {
  return {.vision = {.hidden_size = 16,
                     .intermediate_size = 32,
                     .num_hidden_layers = 2,
                     .num_attention_heads = 2,
                     .image_size = 12,
                     .patch_size = 4},
          .text = {.vocab_size = 30,
                   .hidden_size = 24,
                   .encoder_hidden_size = 16,
                   .intermediate_size = 40,
                   .num_hidden_layers = 2,
                   .num_attention_heads = 3,
                   .max_position_embeddings = 10,
                   .bos_token_id = 28,
                   .sep_token_id = 2}};
}

Blip small_model() {
  Blip blip(small_config());
  initialise(blip, 1);
  return blip;
}

at::Tensor states_of_two_pictures(const Blip& blip) {
  return blip.vision_model.forward(at::arange(864).view({2, 3, 12, 12}).to(at::kFloat).sin());
}

at::Tensor ids_of(std::vector<int64_t> ids) { return at::tensor(ids, at::kLong).view({1, -1}); }

std::string refusal(const std::string& json) {
  try {
    parse_blip_config(json, "config.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Blip, StatesHaveARowForTheClassAndEachPatch) {
  const at::NoGradGuard off;
  EXPECT_EQ(states_of_two_pictures(small_model()).sizes(), (std::vector<int64_t>{2, 10, 16}));
}

TEST(Blip, WordByWordIsTheSameAsAtOnce) {
  const at::NoGradGuard off;
  const Blip blip = small_model();
  const BlipTextDecoder& decoder = blip.text_decoder;
  const at::Tensor states = states_of_two_pictures(blip);
  const at::Tensor ids = at::stack({at::arange(5), at::arange(7, 12)});
  BlipTextCache whole = decoder.begin(states, 5);
  const at::Tensor expected = decoder.logits(decoder.forward(ids, whole));
  BlipTextCache parts = decoder.begin(states, 5);
  at::Tensor got = decoder.logits(decoder.forward(ids.narrow(1, 0, 2), parts));
  EXPECT_TRUE(at::allclose(got, expected.narrow(1, 0, 2), 1e-5, 1e-5));
  for (int64_t i = 2; i < 5; ++i) {
    got = decoder.logits(decoder.forward(ids.narrow(1, i, 1), parts));
    EXPECT_TRUE(at::allclose(got, expected.narrow(1, i, 1), 1e-5, 1e-5)) << i;
  }
}

TEST(Blip, RowsOfAPictureGoTheirOwnWays) {
  const at::NoGradGuard off;
  const Blip blip = small_model();
  const BlipTextDecoder& decoder = blip.text_decoder;
  const at::Tensor states = states_of_two_pictures(blip);
  BlipTextCache cache = decoder.begin(states, 4);
  decoder.forward(at::full({2, 2}, 5, at::kLong), cache);
  // Two rows of the second picture, then two of the first.
  cache.select({1, 1, 0, 0}, {1, 0});
  const at::Tensor next = at::tensor({3, 4, 3, 4}, at::kLong).view({4, 1});
  const at::Tensor rows = decoder.forward(next, cache);

  for (int64_t i = 0; i < 4; ++i) {
    BlipTextCache alone = decoder.begin(states.narrow(0, i < 2 ? 1 : 0, 1), 3);
    const at::Tensor expected = decoder.forward(ids_of({5, 5, 3 + i % 2}), alone).select(1, 2);
    EXPECT_TRUE(at::allclose(rows.select(0, i), expected.select(0, 0), 1e-5, 1e-5)) << i;
  }
}

TEST(Blip, CaptionsEndWhereThePositionsEnd) {
  const at::NoGradGuard off;
  const Blip blip = small_model();
  BlipTextCache cache = blip.text_decoder.begin(states_of_two_pictures(blip), 20);
  EXPECT_THROW(blip.text_decoder.forward(at::ones({2, 11}, at::kLong), cache), Error);
}

TEST(BlipConfig, HasTransformersDefaults) {
  const BlipConfig config = parse_blip_config("{}", "config.json");
  EXPECT_EQ(config.vision.positions(), 577);
  EXPECT_EQ(config.text.num_attention_heads, 8);
  EXPECT_EQ(config.text.encoder_hidden_size, 768);
  EXPECT_EQ(config.text.sep_token_id, 102);
}

TEST(BlipConfig, TheDecoderLooksAtTheVisionTransformersWidth) {
  const BlipConfig config = parse_blip_config(
      R"({"model_type": "blip", "vision_config": {"hidden_size": 1024, "num_attention_heads": 16},
          "text_config": {"encoder_hidden_size": 5, "vocab_size": 40, "bos_token_id": 38,
                          "sep_token_id": 0}})",
      "config.json");
  EXPECT_EQ(config.text.encoder_hidden_size, 1024);
  EXPECT_EQ(config.text.bos_token_id, 38);
  EXPECT_EQ(config.text.sep_token_id, 0);
}

TEST(BlipConfig, RefusesWhatIsNoCaptioner) {
  EXPECT_THAT(refusal(R"({"model_type": "blip-2"})"), HasSubstr("model_type"));
  EXPECT_THAT(refusal(R"({"architectures": ["BlipForQuestionAnswering"]})"),
              HasSubstr("architectures"));
  EXPECT_THAT(refusal(R"({"text_config": {"hidden_act": "relu"}})"), HasSubstr("hidden_act"));
  EXPECT_THAT(refusal(R"({"text_config": {"num_attention_heads": 7}})"),
              HasSubstr("num_attention_heads"));
  EXPECT_THAT(refusal(R"({"vision_config": {"patch_size": 15}})"), HasSubstr("patch_size"));
  EXPECT_THAT(refusal(R"({"text_config": {"vocab_size": 100}})"), HasSubstr("token ids"));
  EXPECT_THAT(refusal(R"({"text_config": {"vocab_size": 100, "bos_token_id": 100}})"),
              HasSubstr("bos_token_id"));
}

}  // namespace
}  // namespace sdtune
