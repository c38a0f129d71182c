#include "base/error.h"

#include <gtest/gtest.h>

namespace sdtune {
namespace {

TEST(Error, CarriesItsParts) {
  const Error error("the file cannot be read", "a.safetensors", "fetch it again");
  EXPECT_STREQ(error.what(), "the file cannot be read");
  EXPECT_EQ(error.where(), "a.safetensors");
  EXPECT_EQ(error.hint(), "fetch it again");
  EXPECT_EQ(error.exit_code(), 1);
}

TEST(Error, AUsageErrorIsAnErrorWithExitCodeTwo) {
  try {
    throw UsageError("unknown option", "--lerning_rate", "did you mean --learning_rate?");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_EQ(error.where(), "--lerning_rate");
    EXPECT_EQ(error.hint(), "did you mean --learning_rate?");
  }
}

const std::vector<std::string> kOptions = {"learning_rate", "lr_scheduler", "seed", "resolution",
                                           "vae"};

TEST(NearestName, FindsSlipsOfTheFinger) {
  EXPECT_EQ(nearest_name("lerning_rate", kOptions), "learning_rate");
  EXPECT_EQ(nearest_name("learning_rates", kOptions), "learning_rate");
  EXPECT_EQ(nearest_name("learnnig_rate", kOptions), "learning_rate");
  EXPECT_EQ(nearest_name("sed", kOptions), "seed");
  EXPECT_EQ(nearest_name("va", kOptions), "vae");
  EXPECT_EQ(nearest_name("seed", kOptions), "seed");
}

TEST(NearestName, FindsNothingFarAway) {
  EXPECT_EQ(nearest_name("dropout", kOptions), "");
  EXPECT_EQ(nearest_name("", kOptions), "");
  EXPECT_EQ(nearest_name("seed", {}), "");
}

TEST(NearestName, AllowsAThirdOfTheLengthAndNoMore) {
  EXPECT_EQ(nearest_name("resolu", {"resoluxx"}), "resoluxx");
  EXPECT_EQ(nearest_name("resolu", {"resoluxxx"}), "");
  EXPECT_EQ(nearest_name("ab", {"ac"}), "ac");
  EXPECT_EQ(nearest_name("ab", {"cd"}), "");
}

TEST(NearestName, PrefersTheNearest) {
  EXPECT_EQ(nearest_name("resolutoin", {"resolutions_x", "resolution"}), "resolution");
}

}  // namespace
}  // namespace sdtune
