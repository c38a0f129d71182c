#include "train/nan_guard.h"

#include <gtest/gtest.h>

#include <cmath>

#include "optim/adamw.h"

namespace sdtune {
namespace {

using Verdict = NanGuard::Verdict;

std::vector<Verdict> judge_all(NanGuard& guard, const std::string& steps, bool has_state) {
  std::vector<Verdict> verdicts;
  for (const char step : steps) verdicts.push_back(guard.judge(step == '.', has_state));
  return verdicts;
}

TEST(NanGuard, GoesBackOnceAndThenGivesUp) {
  NanGuard guard(3);
  EXPECT_EQ(judge_all(guard, "xx.xxxxxx", true),
            (std::vector<Verdict>{Verdict::kSkipped, Verdict::kSkipped, Verdict::kGood,
                                  Verdict::kSkipped, Verdict::kSkipped, Verdict::kGoBack,
                                  Verdict::kSkipped, Verdict::kSkipped, Verdict::kGiveUp}));
}

TEST(NanGuard, AGoodStepAfterGoingBackIsANewStart) {
  NanGuard guard(1);
  EXPECT_EQ(
      judge_all(guard, "x.xx", true),
      (std::vector<Verdict>{Verdict::kGoBack, Verdict::kGood, Verdict::kGoBack, Verdict::kGiveUp}));
}

TEST(NanGuard, GivesUpWithoutAState) {
  NanGuard guard(2);
  EXPECT_EQ(judge_all(guard, "xx", false),
            (std::vector<Verdict>{Verdict::kSkipped, Verdict::kGiveUp}));
}

TEST(FirstBadTensor, WeightsBeforeGradientsInOrder) {
  std::vector<NamedParameter> parameters;
  for (const char* name : {"a", "b", "c"})
    parameters.push_back({name, at::ones({4}).requires_grad_(true)});
  for (NamedParameter& parameter : parameters) parameter.tensor.mutable_grad() = at::ones({4});
  AdamW optimizer({{parameters, 0.1}}, {});
  EXPECT_EQ(first_bad_tensor(optimizer), "");
  parameters[2].tensor.mutable_grad()[1] = INFINITY;
  parameters[1].tensor.mutable_grad()[3] = NAN;
  EXPECT_EQ(first_bad_tensor(optimizer), "gradient of b");
  const at::NoGradGuard no_grad;
  parameters[2].tensor[0] = NAN;
  EXPECT_EQ(first_bad_tensor(optimizer), "weight c");
}

TEST(FirstBadPicture, IsFoundInPixelsAndInLatents) {
  Dataset dataset;
  for (const char* name : {"a.png", "b.png", "c.png"}) dataset.items.emplace_back().image = name;
  LoadedBatch pixels, latents;
  pixels.items = {0, 2};
  pixels.pixels = std::vector<float>(8, 0.5f);
  latents.items = {1, 0};
  latents.latents = std::vector<float>(6, 0.5f);
  EXPECT_EQ(first_bad_picture(dataset, std::vector{pixels, latents}), "");
  latents.latents[1] = NAN;
  EXPECT_EQ(first_bad_picture(dataset, std::vector{pixels, latents}), "b.png");
  pixels.pixels[4] = INFINITY;
  EXPECT_EQ(first_bad_picture(dataset, std::vector{pixels, latents}), "c.png");
}

TEST(FirstBadLatents, AreNamedByTheirItem) {
  std::vector<LoadedBatch> batches(3);
  batches[0].items = {5, 2};
  batches[2].items = {7, 3};
  const std::vector<at::Tensor> latents = {at::ones({2, 4, 2, 2}), at::ones({2, 4, 2, 2})};
  EXPECT_EQ(first_bad_latents(batches, latents), std::nullopt);
  latents[1][1][3][0][1] = NAN;
  EXPECT_EQ(first_bad_latents(batches, latents), 3);
  latents[0][1][0][0][0] = INFINITY;
  EXPECT_EQ(first_bad_latents(batches, latents), 2);
}

}  // namespace
}  // namespace sdtune
