#include "train/latent_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/test_pictures.h"
#include "train/tiny_model_for_test.h"

namespace sdtune {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(LatentEncoder, AdvisesTheCommandsOptionWhereTheVaeIsInHalfPrecision) {
  const TestFolder folder;
  write_random_model(folder / "model", tiny_model());
  const auto source = open_vae(folder / "model");
  const auto hint_in = [&](at::ScalarType type) {
    const AutoencoderKL vae = load_frozen_vae(*source, type, at::kCPU);
    return latent_encoder(vae, *source, at::kCPU, "--mixed_precision=no").hint;
  };
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    EXPECT_THAT(hint_in(type), HasSubstr("add --mixed_precision=no"));
  }
  EXPECT_THAT(hint_in(at::kFloat), Not(HasSubstr("--mixed_precision")));
}

}  // namespace
}  // namespace sdtune
