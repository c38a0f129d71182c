#include "generate/draw_pictures.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "diffusion/sampler.h"
#include "generate/highres.h"
#include "generate/small_models_for_test.h"
#include "image/resize.h"
#include "image/test_pictures.h"
#include "text/token_chunks.h"

namespace sdtune {
namespace {

PictureRequest request_for(const std::string& prompt, uint64_t seed) {
  PictureRequest request;
  request.prompt = prompt;
  request.width = request.height = 64;
  request.steps = 4;
  request.sampler = "euler_a";
  request.seed = seed;
  return request;
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.size(), b.size());
  int largest = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    largest = std::max(largest, std::abs(int{a.rgb[i]} - int{b.rgb[i]}));
  }
  return largest;
}

Image draw_one(const SmallModels& models, const PictureRequest& request) {
  return draw_pictures(models.all(3), {}, {&request, 1})[0];
}

TEST(DrawPictures, APictureDependsOnItsOwnRequestAlone) {
  const SmallModels models;
  std::vector<PictureRequest> requests = {request_for("a cat", 5), request_for("a (dog:1.3)", 6),
                                          request_for("", 7), request_for("a house", 5)};
  requests[1].negative_prompt = "blurry";
  DrawSettings settings;
  settings.batch_size = 4;
  ASSERT_EQ(batch_at_front(models.all(), settings, requests), 4u);
  const std::vector<Image> together = draw_pictures(models.all(), settings, requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_LE(largest_difference(together[i], draw_one(models, requests[i])), 1) << i;
  }
  EXPECT_GT(largest_difference(together[0], together[2]), 8);  // another seed
  EXPECT_EQ(draw_one(models, requests[0]).rgb, draw_one(models, requests[0]).rgb);
}

TEST(DrawPictures, BatchesHoldWhatFitsTogether) {
  const SmallModels models;
  DrawSettings settings;
  settings.batch_size = 3;
  std::string long_prompt;
  for (int i = 0; i < 100; ++i) long_prompt += "cat ";
  const auto front = [&](const PictureRequest& second) {
    const std::vector<PictureRequest> requests = {request_for("a", 1), second};
    return batch_at_front(models.all(3), settings, requests);
  };
  PictureRequest other = request_for("b", 9);
  other.width = 71;  // as 64
  EXPECT_EQ(front(other), 2u);
  EXPECT_EQ(front(request_for(long_prompt, 1)), 1u);
  other.steps = 5;
  EXPECT_EQ(front(other), 1u);
  const std::vector<PictureRequest> five(5, request_for("a", 1));
  EXPECT_EQ(batch_at_front(models.all(), settings, five), 3u);
  EXPECT_EQ(batch_at_front(models.all(), settings, {}), 0u);
}

// The guidance's formula, worked out by hand over the U-Net's plain answers.
TEST(DrawPictures, GuidesByTheFormula) {
  const SmallModels models;
  const PictureModels all = models.all();
  PictureRequest request = request_for("a cat", 5);
  request.negative_prompt = "a dog";
  request.sampler = "euler";
  request.steps = 1;
  request.scale = 4;
  const auto sampler = make_sampler("euler", all.schedule, {.steps = 1});
  PictureRequest plain = request;
  plain.scale = 1;
  const auto latents_of = [&](const PictureRequest& r) { return draw_latents(all, {}, {&r, 1}); };
  const auto plain_for = [&](const std::string& prompt) {
    plain.prompt = prompt;
    return latents_of(plain);
  };
  // One step of euler is linear in the U-Net's answer, and so are the latents.
  const at::Tensor c = plain_for("a cat"), n = plain_for("a dog"), u = plain_for("");
  EXPECT_TRUE(at::allclose(latents_of(request), n + 4 * (c - n), 1e-3, 1e-3));
  request.negative_scale = 2;
  EXPECT_TRUE(at::allclose(latents_of(request), u + 4 * (c - u) - 2 * (n - u), 1e-3, 1e-3));
  EXPECT_FALSE(at::allclose(n + 4 * (c - n), u + 4 * (c - u) - 2 * (n - u), 1e-3, 1e-3));
}

TEST(DrawPictures, StrengthSaysHowMuchOfThePictureIsLeft) {
  const SmallModels models;
  PictureRequest request = request_for("a cat", 5);
  request.steps = 10;
  request.start = std::make_shared<const Image>(test_picture(64, 64));
  request.strength = 0;
  const Image kept = draw_one(models, request);
  const Canvas canvas = canvas_of(models.all(), {}, {&request, 1});
  EXPECT_EQ(decode_latents(models.vae, canvas.latents, {})[0].rgb, kept.rgb);
  request.strength = 0.5;
  EXPECT_GT(largest_difference(kept, draw_one(models, request)), 8);
}

TEST(DrawPictures, WhatAMaskKeepsStays) {
  const SmallModels models;
  PictureRequest request = request_for("a cat", 5);
  request.start = std::make_shared<const Image>(test_picture(64, 64));
  Image mask(64, 64);  // black: keep, and white in the lower half
  std::fill(mask.rgb.begin() + mask.rgb.size() / 2, mask.rgb.end(), 255);
  request.mask = std::make_shared<const Image>(mask);
  const Canvas canvas = canvas_of(models.all(), {}, {&request, 1});
  const at::Tensor drawn = draw_latents(models.all(), {}, {&request, 1}, canvas);
  const at::Tensor moved = (drawn - canvas.latents).abs().amax({0, 1, 3});
  EXPECT_LT(moved.slice(0, 0, 4).max().item<float>(), 1e-5F);
  EXPECT_GT(moved.slice(0, 4, 8).min().item<float>(), 1e-2F);
}

TEST(DrawPictures, ChanceChangesTheNoiseOfAShareOfThePictures) {
  const SmallModels models;
  DrawSettings settings;
  settings.noise.offset_probability = 0.5;
  settings.noise.offset = {0.5, 0.5};
  int changed = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    PictureRequest request = request_for("a", seed);
    request.steps = 1;
    const at::Tensor plain = draw_latents(models.all(), {}, {&request, 1});
    changed += !at::equal(plain, draw_latents(models.all(), settings, {&request, 1}));
  }
  EXPECT_GT(changed, 3);
  EXPECT_LT(changed, 17);
}

TEST(DrawPictures, EndsWhenTold) {
  const SmallModels models;
  DrawSettings settings;
  int asked = 0;
  settings.goes_on = [&] { return ++asked < 3; };
  const PictureRequest request = request_for("a", 1);
  EXPECT_TRUE(draw_pictures(models.all(), settings, {&request, 1}).empty());
  EXPECT_EQ(asked, 3);
}

TEST(Highres, DrawsSmallThenLarge) {
  const SmallModels models;
  std::vector<PictureRequest> batch = {request_for("a", 1), request_for("b", 2)};
  for (PictureRequest& request : batch) request.width = 232;
  for (const bool latents : {false, true}) {
    const TwoStages stages = draw_in_two_stages(
        models.all(), {}, batch, {.scale = 0.5, .steps = 2, .enlarges_latents = latents}, true);
    ASSERT_EQ(stages.small.size(), 2u);
    EXPECT_EQ(stages.small[0].size(), (Size{96, 64}));
    ASSERT_EQ(stages.large.size(), 2u);
    EXPECT_EQ(stages.large[1].size(), (Size{232, 64}));
  }
}

TEST(Highres, StagesAreWhatTheyWouldBeAlone) {
  const SmallModels models;
  PictureRequest request = request_for("a", 1);
  request.width = 128;
  const TwoStages stages =
      draw_in_two_stages(models.all(3), {}, {&request, 1}, {.scale = 0.5, .steps = 2}, true);
  PictureRequest small = request;
  small.width = 64;
  small.steps = 2;
  EXPECT_EQ(stages.small[0].rgb, draw_one(models, small).rgb);
  PictureRequest large = request;
  large.seed = 2;
  large.start = std::make_shared<const Image>(stages.small[0]);
  EXPECT_EQ(stages.large[0].rgb, draw_one(models, large).rgb);
}

TEST(Highres, TheMaskIsTheFirstStages) {
  const SmallModels models;
  PictureRequest request = request_for("a", 1);
  request.start = std::make_shared<const Image>(test_picture(64, 64));
  request.mask = std::make_shared<const Image>(64, 64);  // black: keep
  const TwoStages stages =
      draw_in_two_stages(models.all(3), {}, {&request, 1}, {.scale = 1, .steps = 4}, true);
  EXPECT_GT(largest_difference(stages.small[0], stages.large[0]), 40);
}

TEST(DecodeLatents, TilesCoverEvenly) {
  EXPECT_THAT(tile_starts(64, 64), testing::ElementsAre(0));
  EXPECT_THAT(tile_starts(10, 64), testing::ElementsAre(0));
  EXPECT_THAT(tile_starts(65, 64), testing::ElementsAre(0, 1));
  EXPECT_THAT(tile_starts(256, 128), testing::ElementsAre(0, 64, 128));
  for (int64_t length = 1; length < 300; ++length) {
    int64_t covered = 0;
    for (const int64_t start : tile_starts(length, 40)) {
      EXPECT_LE(start, std::max<int64_t>(0, covered - 10));
      covered = start + 40;
    }
    EXPECT_GE(covered, length);
    EXPECT_LE(tile_starts(length, 40).back() + std::min<int64_t>(40, length), length);
  }
}

// Tiles differ from the whole where the VAE looks at all of a picture, but not in their middle.
TEST(DecodeLatents, TilesAreBlendedWithoutSeams) {
  const SmallModels models;
  const at::Tensor wave = at::arange(0, 80, at::kFloat).div(20).sin().view({1, 1, 80, 1});
  const at::Tensor latents = (wave + wave.transpose(2, 3)).repeat({1, 4, 1, 1}) * 0.1;
  const Image whole = decode_latents(models.vae, latents, {})[0];
  const Image tiled = decode_latents(models.vae, latents, {.slices = 2})[0];
  EXPECT_NE(whole.rgb, tiled.rgb);
  int steepest = 0, steepest_whole = 0;
  for (int y = 1; y < whole.height; ++y) {
    for (int x = 0; x < 3 * whole.width; ++x) {
      const size_t at = size_t{3} * y * whole.width + x, above = at - size_t{3} * whole.width;
      steepest = std::max(steepest, std::abs(int{tiled.rgb[at]} - int{tiled.rgb[above]}));
      steepest_whole =
          std::max(steepest_whole, std::abs(int{whole.rgb[at]} - int{whole.rgb[above]}));
    }
  }
  EXPECT_LE(steepest, steepest_whole + 3);
}

TEST(EncodePictures, LatentsHaveTheVaesScale) {
  const SmallModels models;
  const at::NoGradGuard no_grad;
  const Image picture = test_picture(64, 32);
  at::Tensor planes = at::empty({1, 3, 32, 64});
  to_planes(picture, planes.data_ptr<float>());
  const at::Tensor latents = encode_pictures(models.vae, {&picture, 1}, {});
  const at::Tensor mean = models.vae.encode(planes).slice(1, 0, 4);
  EXPECT_TRUE(at::allclose(latents, mean * models.vae.config.scaling_factor));
  const at::Tensor decoded = models.vae.decode(mean)[0].clamp(-1, 1).permute({1, 2, 0}) * 127.5;
  const Image back = decode_latents(models.vae, latents, {})[0];
  const at::Tensor bytes = at::tensor(at::ArrayRef<uint8_t>(back.rgb)).view(decoded.sizes());
  EXPECT_LE((bytes.to(at::kFloat) - 127.5 - decoded).abs().max().item<float>(), 0.51F);
}

// The mean distance is of the values' own deviation. The VAE's norms and attention look at all of a
// picture, so that tiles of it are not the whole, but near.
TEST(EncodePictures, TilesAreNearTheWhole) {
  const SmallModels models;
  const std::vector<Image> pictures = {test_picture(768, 64), test_picture(768, 64, 1)};
  const at::Tensor whole = encode_pictures(models.vae, pictures, {});
  const at::Tensor tiled = encode_pictures(models.vae, pictures, {.slices = 2});
  ASSERT_EQ(tiled.sizes(), (std::vector<int64_t>{2, 4, 8, 96}));
  EXPECT_FALSE(at::equal(whole, tiled));
  const double distance = ((whole - tiled).abs().mean() / whole.std()).item<double>();
  EXPECT_LT(distance, 0.1);
}

TEST(EncodePictures, LongOnesAreTiledUnasked) {
  const SmallModels models;
  const Image picture = test_picture(2048, 16);
  const at::Tensor unasked = encode_pictures(models.vae, {&picture, 1}, {});
  EXPECT_TRUE(at::equal(unasked, encode_pictures(models.vae, {&picture, 1}, {.slices = 2})));
  EXPECT_FALSE(at::equal(unasked, encode_pictures(models.vae, {&picture, 1}, {.slices = 1})));
}

TEST(EncodePictures, BatchesChangeNoLatents) {
  const SmallModels models;
  const std::vector<Image> pictures = {test_picture(32, 32), test_picture(32, 32, 1),
                                       test_picture(32, 32, 2)};
  const at::Tensor all = encode_pictures(models.vae, pictures, {});
  const at::Tensor pairs = encode_pictures(models.vae, pictures, {.batch = 2});
  EXPECT_TRUE(at::allclose(all, pairs, 1e-4, 1e-5));
}

TEST(DecodeLatents, BatchesChangeNothingToSee) {
  const SmallModels models;
  const at::Tensor latents = at::linspace(-1, 1, 3 * 4 * 8 * 8).view({3, 4, 8, 8});
  const std::vector<Image> all = decode_latents(models.vae, latents, {});
  const std::vector<Image> pairs = decode_latents(models.vae, latents, {.batch = 2});
  ASSERT_EQ(pairs.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_LE(largest_difference(all[i], pairs[i]), 1);
}

TEST(PromptStates, AreOfTheFamilysTokensAndTheLayerAskedFor) {
  const SmallModels models;
  const at::NoGradGuard no_grad;
  const std::vector<std::string> prompt = {"a cat"};
  for (const TextFamily family : {TextFamily::kV1, TextFamily::kV2}) {
    PromptEncoder encoder = models.all().text;
    encoder.family = family;
    encoder.clip_skip = 2;
    const at::Tensor ids = at::tensor(token_chunks(models.tokenizer, prompt[0], family, 75));
    EXPECT_TRUE(at::equal(prompt_states(encoder, prompt, 1),
                          models.text.forward(ids.view({1, 77}), encoder.clip_skip)));
  }
}

TEST(PromptStates, KeepTheMeanThatWeightsMove) {
  const SmallModels models;
  PromptEncoder encoder = models.all().text;
  const std::vector<std::string> plain = {"a cat"}, weighed = {"a (cat:1.8)"};
  const at::NoGradGuard no_grad;
  const at::Tensor base = prompt_states(encoder, plain, 1);
  const at::Tensor original = prompt_states(encoder, weighed, 1);
  EXPECT_FALSE(at::allclose(base, original));
  EXPECT_NEAR(original.mean().item<float>(), base.mean().item<float>(), 1e-5);
  encoder.normalize = EmbNormalize::kAbs;
  EXPECT_NEAR(prompt_states(encoder, weighed, 1).abs().mean().item<float>(),
              base.abs().mean().item<float>(), 1e-5);
  encoder.normalize = EmbNormalize::kNone;
  const at::Tensor none = prompt_states(encoder, weighed, 1);
  EXPECT_TRUE(at::allclose(none.select(1, 2), base.select(1, 2) * 1.8));
  EXPECT_TRUE(at::equal(none.select(1, 1), base.select(1, 1)));
}

TEST(PromptStates, LongPromptsTakeMoreChunksUpToTheMost) {
  const SmallModels models;
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "cat ";
  const PromptEncoder three = models.all(3).text;
  EXPECT_EQ(chunks_of(three, ""), 1);
  EXPECT_EQ(chunks_of(three, prompt), 2);
  EXPECT_EQ(chunks_of(three, prompt + prompt + prompt), 3);
  EXPECT_EQ(chunks_of(models.all(1).text, prompt), 1);
  const at::NoGradGuard no_grad;
  EXPECT_EQ(prompt_states(three, {&prompt, 1}, 2).size(1), 152);
}

}  // namespace
}  // namespace sdtune
