#include "train/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Objective made(const NoiseOptions& noise, const LossOptions& loss = {},
               PredictionType prediction = PredictionType::kEpsilon) {
  return make_objective(noise, loss, prediction, at::kCPU);
}

std::string complaint(const NoiseOptions& noise, const LossOptions& loss = {},
                      PredictionType prediction = PredictionType::kEpsilon) {
  try {
    made(noise, loss, prediction);
  } catch (const UsageError& error) {
    return error.where() + ": " + error.what();
  }
  return "";
}

TEST(Objective, RefusesWhatDoesNotFit) {
  EXPECT_THAT(complaint({.adaptive_noise_scale = 0.1}), HasSubstr("--adaptive_noise_scale"));
  EXPECT_EQ(complaint({.noise_offset = 0.1, .adaptive_noise_scale = 0.1}), "");
  const LossOptions scaled{.scale_v_pred_loss_like_noise_pred = true},
      v_like{.v_pred_like_loss = 1};
  EXPECT_THAT(complaint({}, scaled), HasSubstr("--scale_v_pred_loss_like_noise_pred"));
  EXPECT_EQ(complaint({}, scaled, PredictionType::kV), "");
  EXPECT_THAT(complaint({}, v_like, PredictionType::kV), HasSubstr("--v_pred_like_loss"));
  EXPECT_EQ(complaint({}, v_like), "");
  EXPECT_THAT(complaint({.min_timestep = 500, .max_timestep = 400}), HasSubstr("--min_timestep"));
  EXPECT_EQ(complaint({.min_timestep = 500, .max_timestep = 500}), "");
  EXPECT_THAT(complaint({.timestep_sampling = TimestepSampling::kCustom}),
              HasSubstr("--timestep_sampling"));
  EXPECT_THAT(complaint({.timestep_weights = "1"}), HasSubstr("--timestep_weights"));
}

TEST(Objective, WarnsOfZeroTerminalSnrWithoutV) {
  testing::internal::CaptureStderr();
  made({.zero_terminal_snr = true}, {}, PredictionType::kV);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  const Objective objective = made({.zero_terminal_snr = true});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("--zero_terminal_snr"));
  EXPECT_EQ(objective.schedule.alphas_cumprod[999].item<double>(), 0);
}

TEST(Objective, ReadsTimestepWeightsFromTextAndFile) {
  const auto weights = [](const std::string& given) {
    return made({.timestep_sampling = TimestepSampling::kCustom, .timestep_weights = given})
        .timesteps.weights;
  };
  EXPECT_THAT(weights("1, 2.5,0"), ElementsAre(1, 2.5, 0));
  const fs::path file = fs::temp_directory_path() / ("weights-" + std::to_string(getpid()));
  write_file(file, "3\n4\r\n5e-1");
  EXPECT_THAT(weights(file.string()), ElementsAre(3, 4, 0.5));
  fs::remove(file);
  for (const char* bad : {"1,x", "-1", "nan", "", "0,0"}) {
    EXPECT_THAT(
        complaint({.timestep_sampling = TimestepSampling::kCustom, .timestep_weights = bad}),
        HasSubstr("--timestep_weights"))
        << bad;
  }
}

TEST(Objective, TheTargetKeepsTheNoiseWithoutItsPerturbation) {
  const at::Tensor latents = draw_noise({9, 0, 0}, {2, 4, 4, 4});
  const DrawPosition place{1, 2, 0};
  const DiffusedBatch plain = diffuse(made({}), latents, place);
  const DiffusedBatch perturbed = diffuse(made({.ip_noise_gamma = 0.5}), latents, place);
  EXPECT_TRUE(perturbed.target.equal(plain.target));
  EXPECT_TRUE(perturbed.noise.equal(plain.target));
  EXPECT_TRUE(perturbed.timesteps.equal(plain.timesteps));
  EXPECT_FALSE(perturbed.noisy.allclose(plain.noisy, 0, 1e-3));
  const DiffusedBatch v = diffuse(made({}, {}, PredictionType::kV), latents, place);
  EXPECT_TRUE(
      v.target.equal(velocity(scaled_linear_schedule(), latents, plain.noise, plain.timesteps)));
}

}  // namespace
}  // namespace sdtune
