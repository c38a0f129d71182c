#include "image/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/files.h"
#include "image/decode.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

LinePlot loss_plot() {
  LineSeries raw{"loss", {}, {}, true, 0}, smooth{"smoothed", {}, {}, false, 0};
  std::mt19937 random(1);
  double mean = 0.0;
  for (int i = 1; i <= 2000; ++i) {
    const double loss = 0.08 + 0.12 * std::exp(-i / 400.0) + 0.03 * (random() % 1000 / 1000.0);
    mean = i == 1 ? loss : 0.98 * mean + 0.02 * loss;
    raw.x.push_back(i);
    raw.y.push_back(loss);
    smooth.x.push_back(i);
    smooth.y.push_back(mean);
  }
  return {"Loss <first run> & more", "step", "loss", {raw, smooth}};
}

TEST(AxisTicks, AreRoundNumbersInsideTheRange) {
  EXPECT_EQ(axis_ticks(0, 100, 5), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  const auto ticks = axis_ticks(0.071, 0.234, 6);
  ASSERT_EQ(ticks.size(), 3u);
  EXPECT_NEAR(ticks[0], 0.10, 1e-12);
  EXPECT_NEAR(ticks[2], 0.20, 1e-12);
}

TEST(LinePlot, IsRenderedWithLinesOnWhite) {
  TestFolder folder;
  write_line_plot(folder / "loss.png", loss_plot());
  const Image image = decode_image(folder / "loss.png");
  EXPECT_EQ(image.size(), (Size{1800, 1000}));
  EXPECT_EQ(image.rgb[0], 255);
  int strong = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    strong += image.rgb[i] == 0 && image.rgb[i + 1] == 0x72 && image.rgb[i + 2] == 0xb2;
  }
  EXPECT_GT(strong, 3000);  // the smoothed line, about 1650 columns of 5 rows
}

TEST(LinePlot, EscapesTextAndKeepsLongRunsSmall) {
  LinePlot plot = loss_plot();
  for (int i = 2001; i <= 300000; ++i) {
    plot.series[0].x.push_back(i);
    plot.series[0].y.push_back(i % 7);
  }
  const std::string svg = line_plot_svg(plot);
  EXPECT_NE(svg.find("Loss &lt;first run&gt; &amp; more"), std::string::npos);
  EXPECT_LT(svg.size(), 200'000u);
}

TEST(LinePlot, NotANumberBreaksTheLine) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  LinePlot plot{"", "", "", {{"a", {0, 1, 2, 3, 4}, {1, 2, nan, 3, 4}}}};
  const std::string svg = line_plot_svg(plot);
  const std::string path = svg.substr(svg.find("<path d=\""), svg.find("\" stroke") - 9);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(std::count(path.begin(), path.begin() + path.find('"', 9), 'M'), 2);
}

TEST(LinePlot, EmptyAndLevelSeriesAreDrawn) {
  TestFolder folder;
  write_line_plot(folder / "empty.png", {"Nothing yet", "step", "loss", {}});
  write_line_plot(folder / "level.png", {"", "", "", {{"lr", {5}, {2e-6}}}});
  EXPECT_EQ(image_size(folder / "level.png"), (Size{1800, 1000}));
}

TEST(LinePlot, TheLegendLeavesLinesFree) {
  struct Place {
    double x, y;
  };
  const auto legend = [](std::vector<double> y) -> Place {
    const std::string svg = line_plot_svg({"", "", "", {{"line", {0, 1, 2}, std::move(y)}}});
    const std::string box = svg.substr(svg.rfind("<rect x=\""));
    return {std::stod(box.substr(9)), std::stod(box.substr(box.find(" y=\"") + 4))};
  };
  const Place falling = legend({3, 2, 1}), rising = legend({1, 2, 3}), high = legend({3, 0, 3});
  EXPECT_TRUE(falling.x > 450 && falling.y < 100);
  EXPECT_TRUE(rising.x < 450 && rising.y < 100);
  EXPECT_GT(high.y, 300);
}

TEST(LinePlot, RatiosStandOnZero) {
  LinePlot plot{"", "", "", {{"", {5, 6}, {0.98, 1.02}}}};
  EXPECT_EQ(line_plot_svg(plot).find(">0<"), std::string::npos);
  plot.y_from_zero = true;
  EXPECT_NE(line_plot_svg(plot).find(">0<"), std::string::npos);
}

TEST(LinePlot, UnequalSeriesAreRefused) {
  EXPECT_THROW(line_plot_svg({"", "", "", {{"a", {0, 1}, {1}}}}), Error);
}

}  // namespace
}  // namespace sdtune
