#include "train/loss_bands.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace sdtune {
namespace {

TEST(LossBands, AreTheMeansOfTheirTimesteps) {
  LossBands bands;
  bands.add(0, 1);
  bands.add(199, 2);
  bands.add(200, 5);
  bands.add(999, 4);
  bands.add(999, INFINITY);
  const auto json = bands.to_json();
  ASSERT_EQ(json.size(), 5);
  EXPECT_EQ(json[0]["loss"], 1.5);
  EXPECT_EQ(json[0]["samples"], 2);
  EXPECT_EQ(json[1]["from"], 200);
  EXPECT_EQ(json[1]["to"], 399);
  EXPECT_EQ(json[1]["loss"], 5.0);
  EXPECT_TRUE(std::isnan(json[2]["loss"].get<double>()));
  EXPECT_EQ(json[2]["samples"], 0);
  EXPECT_EQ(json[4]["samples"], 1);
  EXPECT_EQ(bands.mean(), 3);
  bands.clear();
  EXPECT_TRUE(std::isnan(bands.mean()));
}

}  // namespace
}  // namespace sdtune
