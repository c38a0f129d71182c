#include "annotate/caption_search.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models/blip.h"
#include "models/random_init.h"

namespace sdtune {
namespace {

using testing::Each;
using testing::Ge;
using testing::SizeIs;

constexpr int64_t kEnd = 2;
const TokenIds kPrompt = {18, 5};

// Words are far from equally likely, and the end comes now and then.
class CaptionSearchTest : public testing::Test {
 protected:
  CaptionSearchTest()
      : blip_({.vision = {.hidden_size = 16,
                          .intermediate_size = 32,
                          .num_hidden_layers = 1,
                          .num_attention_heads = 2,
                          .image_size = 8,
                          .patch_size = 4},
               .text = {.vocab_size = 20,
                        .hidden_size = 24,
                        .encoder_hidden_size = 16,
                        .intermediate_size = 40,
                        .num_hidden_layers = 2,
                        .num_attention_heads = 3,
                        .max_position_embeddings = 16,
                        .bos_token_id = 18,
                        .sep_token_id = kEnd}}) {
    initialise(blip_, 1);
    blip_.text_decoder.decoder_weight = 8 * blip_.text_decoder.decoder_weight;
    blip_.text_decoder.decoder_bias[kEnd] = 1.0;
    states_ = blip_.vision_model.forward((at::arange(6 * 192) * 7).sin().view({6, 3, 8, 8}));
    states_ = 6 * states_;
  }

  std::vector<TokenIds> write(const CaptionSearch& search, int64_t first = 0, int64_t count = 6) {
    const std::span<const uint64_t> numbers(numbers_);
    return search_captions(blip_.text_decoder, states_.narrow(0, first, count), kPrompt, search,
                           numbers.subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
  }

  // As likely as each next word is, without anything kept from one word to the next.
  at::Tensor scores_after(const TokenIds& ids, int64_t picture) {
    const BlipTextDecoder& decoder = blip_.text_decoder;
    BlipTextCache cache = decoder.begin(states_.narrow(0, picture, 1), 16);
    const at::Tensor row = at::tensor(ids, at::kLong).unsqueeze(0);
    return decoder.logits(decoder.forward(row, cache).select(1, -1)).squeeze(0);
  }

  at::NoGradGuard off_;
  Blip blip_;
  at::Tensor states_;
  std::vector<uint64_t> numbers_ = {11, 12, 13, 14, 15, 16};
};

TEST_F(CaptionSearchTest, TheLikeliestWordEachTime) {
  const CaptionSearch search{.sample = false, .max_length = 9, .min_length = 0};
  const std::vector<TokenIds> captions = write(search);
  for (int64_t picture = 0; picture < 6; ++picture) {
    TokenIds expected = kPrompt;
    while (expected.size() < 9) {
      const auto next = scores_after(expected, picture).argmax().item<int64_t>();
      if (next == kEnd) break;
      expected.push_back(next);
    }
    EXPECT_EQ(captions[static_cast<size_t>(picture)], expected) << picture;
  }
}

TEST_F(CaptionSearchTest, PicturesDoNotChangeEachOther) {
  for (const CaptionSearch& search :
       {CaptionSearch{.max_length = 12}, CaptionSearch{.sample = false, .max_length = 12},
        CaptionSearch{.sample = false, .num_beams = 3, .max_length = 12}}) {
    const std::vector<TokenIds> together = write(search);
    std::set<size_t> lengths;
    for (int64_t picture = 0; picture < 6; ++picture) {
      const TokenIds& caption = together[static_cast<size_t>(picture)];
      EXPECT_EQ(write(search, picture, 1)[0], caption) << picture;
      lengths.insert(caption.size());
    }
    EXPECT_THAT(lengths, SizeIs(Ge(2u))) << "some pictures are done before others";
  }
}

TEST_F(CaptionSearchTest, DrawsAreThePicturesOwn) {
  const CaptionSearch search{.max_length = 14, .min_length = 14};
  const std::vector<TokenIds> first = write(search);
  EXPECT_EQ(write(search), first);
  CaptionSearch other = search;
  other.seed = 43;
  EXPECT_NE(write(other), first);
  numbers_[3] = 99;
  const std::vector<TokenIds> changed = write(search);
  EXPECT_NE(changed[3], first[3]);
  EXPECT_EQ(changed[2], first[2]);
}

TEST_F(CaptionSearchTest, LengthsAreKept) {
  for (const CaptionSearch& search :
       {CaptionSearch{.max_length = 8, .min_length = 7},
        CaptionSearch{.sample = false, .max_length = 8, .min_length = 7},
        CaptionSearch{.sample = false, .num_beams = 4, .max_length = 8, .min_length = 7}}) {
    for (const TokenIds& caption : write(search)) {
      EXPECT_EQ(TokenIds(caption.begin(), caption.begin() + 2), kPrompt);
      EXPECT_GE(caption.size(), 7u);
      EXPECT_LE(caption.size(), 8u);
      EXPECT_THAT(caption, Each(testing::Ne(kEnd)));
    }
  }
}

TEST_F(CaptionSearchTest, OneLikelyWordLeavesNoChoice) {
  const CaptionSearch likeliest{.sample = false, .max_length = 10};
  EXPECT_EQ(write({.top_k = 1, .max_length = 10}), write(likeliest));
  EXPECT_EQ(write({.top_p = 0, .max_length = 10}), write(likeliest));
}

TEST_F(CaptionSearchTest, WordsThatAreThereBecomeLessLikely) {
  CaptionSearch search{
      .sample = false, .max_length = 10, .min_length = 10, .repetition_penalty = 1.5};
  const std::vector<TokenIds> captions = write(search);
  for (int64_t picture = 0; picture < 6; ++picture) {
    TokenIds expected = kPrompt;
    while (expected.size() < 10) {
      const at::Tensor scores = scores_after(expected, picture);
      for (const int64_t id : std::set<int64_t>(expected.begin(), expected.end())) {
        const float score = scores[id].item<float>();
        scores[id] = score < 0 ? score * 1.5f : score / 1.5f;
      }
      scores[kEnd] = -1e9;
      expected.push_back(scores.argmax().item<int64_t>());
    }
    EXPECT_EQ(captions[static_cast<size_t>(picture)], expected) << picture;
  }
  search.repetition_penalty = 1.0;
  EXPECT_NE(write(search), captions);
}

TEST(Nucleus, KeepsTheLikeliestThatMakeUpTheShare) {
  const std::vector<float> scores = {std::log(0.5f), std::log(0.3f), std::log(0.15f),
                                     std::log(0.05f)};
  EXPECT_EQ(draw_from_nucleus(scores, 0.9, 0.0), 0u);
  EXPECT_EQ(draw_from_nucleus(scores, 0.9, 0.52), 0u);  // 0.5 of 0.95
  EXPECT_EQ(draw_from_nucleus(scores, 0.9, 0.53), 1u);
  EXPECT_EQ(draw_from_nucleus(scores, 0.9, 0.999), 2u);
  EXPECT_EQ(draw_from_nucleus(scores, 1.0, 0.999), 3u);
  EXPECT_EQ(draw_from_nucleus(scores, 0.6, 0.999), 1u);
  EXPECT_EQ(draw_from_nucleus(scores, 0.0, 0.999), 0u);
}

TEST(Nucleus, NeverDrawsWhatCannotBe) {
  const std::vector<float> scores = {0, -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(draw_from_nucleus(scores, 1.0, 1 - 1e-16), 0u);
}

}  // namespace
}  // namespace sdtune
