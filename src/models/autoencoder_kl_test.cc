#include "models/autoencoder_kl.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/random_init.h"
#include "models/small_models_for_test.h"

namespace sdtune {
namespace {

TEST(Vae, HasThePublishedNumberOfParameters) {
  AutoencoderKL vae{VaeConfig{}};
  int64_t numbers = 0;
  const NamedTensors all = named_parameters(vae);
  for (const auto& [name, p] : all) numbers += p.numel();
  EXPECT_EQ(all.size(), 248u);
  EXPECT_EQ(numbers, 83653863);
}

TEST(Vae, EncodesToMomentsAndDecodesToImages) {
  AutoencoderKL vae(small_vae());
  initialise(vae, 1);
  const at::NoGradGuard off;
  const at::Tensor images = at::linspace(-1, 1, 2 * 3 * 16 * 24).view({2, 3, 16, 24});
  const at::Tensor moments = vae.encode(images);
  EXPECT_EQ(moments.sizes(), (std::vector<int64_t>{2, 8, 4, 6}));
  const at::Tensor decoded = vae.decode(moments.narrow(1, 0, 4));
  EXPECT_EQ(decoded.sizes(), images.sizes());
  EXPECT_TRUE(decoded.isfinite().all().item<bool>());

  vae.compute_dtype = at::kBFloat16;
  const at::Tensor rounded = vae.encode(images);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  EXPECT_LT(((rounded - moments).norm() / moments.norm()).item<float>(), 0.05);
}

TEST(Posterior, IsMeanPlusDeviationTimesNoise) {
  const at::Tensor moments = at::tensor({3.0f, 3.0f, 3.0f, 0.0f, 4.0f, -400.0f}).view({1, 2, 1, 3});
  const at::Tensor noise = at::tensor({2.0f, 2.0f, 2.0f}).view({1, 1, 1, 3});
  const at::Tensor drawn = sample_posterior(moments, noise).flatten();
  EXPECT_FLOAT_EQ(drawn[0].item<float>(), 5);
  EXPECT_FLOAT_EQ(drawn[1].item<float>(), 3 + 2 * std::exp(2.0f));
  EXPECT_NEAR(drawn[2].item<float>(), 3, 1e-5);
}

TEST(Posterior, ClampsTheLogVariance) {
  const at::Tensor moments = at::tensor({0.0f, 1000.0f}).view({1, 2, 1, 1});
  const float drawn = sample_posterior(moments, at::ones({1, 1, 1, 1})).item<float>();
  EXPECT_FLOAT_EQ(drawn, std::exp(10.0f));
}

}  // namespace
}  // namespace sdtune
