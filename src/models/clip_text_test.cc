#include "models/clip_text.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/random_init.h"
#include "models/small_models_for_test.h"

namespace sdtune {
namespace {

ClipTextModel small_model() {
  ClipTextModel clip(small_clip());
  initialise(clip, 1);
  return clip;
}

at::Tensor some_ids() { return at::arange(154).remainder(100).view({2, 77}); }

TEST(Clip, HasThePublishedNumberOfParameters) {
  const auto count = [](const ClipTextConfig& config) {
    ClipTextModel clip(config);
    int64_t numbers = 0;
    for (auto& [name, p] : named_parameters(clip)) numbers += p.numel();
    return numbers;
  };
  EXPECT_EQ(count({}), 123060480);
  EXPECT_EQ(count({.hidden_size = 1024,
                   .intermediate_size = 4096,
                   .num_hidden_layers = 23,
                   .num_attention_heads = 16,
                   .hidden_act = "gelu"}),
            340387840);
}

TEST(Clip, LooksOnlyBack) {
  const ClipTextModel clip = small_model();
  const at::NoGradGuard off;
  const at::Tensor ids = some_ids();
  const at::Tensor changed = ids.clone();
  changed.select(1, 40).fill_(99);
  const at::Tensor difference = (clip.forward(ids) - clip.forward(changed)).abs().amax({0, 2});
  EXPECT_EQ(difference.narrow(0, 0, 40).max().item<float>(), 0);
  EXPECT_GT(difference.narrow(0, 40, 37).min().item<float>(), 0);
}

TEST(Clip, SkipOneIsNoSkipAndTwoIsAnother) {
  const ClipTextModel clip = small_model();
  const at::NoGradGuard off;
  EXPECT_TRUE(at::equal(clip.forward(some_ids(), 0), clip.forward(some_ids(), 1)));
  EXPECT_FALSE(at::equal(clip.forward(some_ids(), 1), clip.forward(some_ids(), 2)));
}

TEST(Clip, RefusesSkipsAndActivationsItDoesNotHave) {
  const ClipTextModel clip = small_model();
  EXPECT_THROW(clip.forward(some_ids(), 4), Error);
  EXPECT_THROW(clip.forward(some_ids(), -1), Error);
  ClipTextConfig config = small_clip();
  config.hidden_act = "relu";
  EXPECT_THROW(ClipTextModel{config}, Error);
}

TEST(Clip, ActivationsDiffer) {
  ClipTextConfig config = small_clip();
  config.hidden_act = "gelu";
  ClipTextModel exact(config);
  initialise(exact, 1);
  const at::NoGradGuard off;
  EXPECT_FALSE(at::equal(exact.forward(some_ids()), small_model().forward(some_ids())));
}

TEST(JoinChunks, DropsTheInnerMarkers) {
  // Row i of chunk c of caption b holds 1000 b + 100 c + i.
  at::Tensor states = at::arange(77).to(at::kFloat).view({1, 1, 77, 1}) +
                      100 * at::arange(3).view({1, 3, 1, 1}) +
                      1000 * at::arange(2).view({2, 1, 1, 1});
  const at::Tensor joined = join_chunks(states.flatten(0, 1), 3);
  ASSERT_EQ(joined.sizes(), (std::vector<int64_t>{2, 227, 1}));
  const auto at_row = [&](int64_t caption, int64_t row) {
    return joined[caption][row][0].item<float>();
  };
  EXPECT_EQ(at_row(0, 0), 0);
  EXPECT_EQ(at_row(0, 1), 1);
  EXPECT_EQ(at_row(0, 75), 75);
  EXPECT_EQ(at_row(0, 76), 101);
  EXPECT_EQ(at_row(1, 151), 1201);
  EXPECT_EQ(at_row(1, 225), 1275);
  EXPECT_EQ(at_row(1, 226), 1276);
}

TEST(JoinChunks, LeavesOneChunkAsItIs) {
  const at::Tensor states = at::rand({2, 77, 3});
  EXPECT_TRUE(at::equal(join_chunks(states, 1), states));
}

}  // namespace
}  // namespace sdtune
