#include "base/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sdtune {
namespace {

int columns(const std::string& text) {  // one for each code point
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

TEST(Progress, HasTheFormThatUsersKnow) {
  EXPECT_EQ(Progress::render({.label = "steps", .total = 100}, 25, 50, "avr_loss=0.123", 72),
            "steps:  25%|██▌       | 25/100 [00:50<02:30,  2.00s/it, avr_loss=0.123]");
}

TEST(Progress, FillsTheBarByEighths) {
  const auto bar_at = [](int64_t done) {
    const std::string line = Progress::render({.label = "x", .total = 240}, done, 0, "", 100);
    return line.substr(line.find('|'), line.rfind('|') + 1 - line.find('|'));
  };
  EXPECT_EQ(bar_at(0), "|" + std::string(30, ' ') + "|");
  EXPECT_EQ(bar_at(1), "|▏" + std::string(29, ' ') + "|");
  EXPECT_EQ(bar_at(12), "|█▌" + std::string(28, ' ') + "|");
  EXPECT_EQ(bar_at(23), "|██▉" + std::string(27, ' ') + "|");
  EXPECT_EQ(columns(bar_at(240)), 32);
  EXPECT_EQ(bar_at(240).find(' '), std::string::npos);
}

TEST(Progress, ShowsFastRatesPerSecondAndSlowOnesPerItem) {
  const ProgressOptions options = {.label = "x", .total = 1000, .unit = "img"};
  EXPECT_NE(Progress::render(options, 300, 60, "", 90).find(" 5.00img/s]"), std::string::npos);
  EXPECT_NE(Progress::render(options, 30, 60, "", 90).find(" 2.00s/img]"), std::string::npos);
  EXPECT_NE(Progress::render(options, 0, 60, "", 90).find("<?, ?img/s]"), std::string::npos);
}

TEST(Progress, CountsOnlyThisRunsStepsInTheRate) {
  const std::string line =
      Progress::render({.label = "steps", .total = 1000, .start = 900}, 950, 100, "", 90);
  EXPECT_NE(line.find("950/1000 [01:40<01:40,  2.00s/it]"), std::string::npos) << line;
}

TEST(Progress, NeedsNoTotal) {
  EXPECT_EQ(Progress::render({.label = "scan", .unit = "files"}, 30, 10, "", 80),
            "scan: 30files [00:10,  3.00files/s]");
}

TEST(Progress, FitsTheTerminal) {
  const std::string note = "avr_loss=0.123, lr=1e-05, 12.3 img/s";
  for (int width = 30; width <= 200; ++width) {
    const std::string line =
        Progress::render({.label = "steps", .total = 5000}, 123, 456, note, width);
    EXPECT_LT(columns(line), width) << line;
  }
}

TEST(Progress, SurvivesMoreThanTheTotal) {
  const std::string line = Progress::render({.label = "x", .total = 10}, 12, 6, "", 60);
  EXPECT_NE(line.find("12/10"), std::string::npos);
  EXPECT_NE(line.find("<00:00"), std::string::npos) << line;
}

TEST(FormatDuration, ShowsHoursOnlyWhenThereAreSome) {
  EXPECT_EQ(format_duration(0), "00:00");
  EXPECT_EQ(format_duration(35.9), "00:35");
  EXPECT_EQ(format_duration(3599), "59:59");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(360000), "100:00:00");
  EXPECT_EQ(format_duration(-1), "00:00");
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress({.label = "steps", .total = 3});
    progress.update(1, "loss=0.5");
    progress.update(2);
    progress.update(3, "loss=0.25");
  }
  const std::string text = testing::internal::GetCapturedStderr();
  // The first and the last; what lies between is inside the interval.
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_NE(text.find("1/3"), std::string::npos);
  EXPECT_EQ(text.find("2/3"), std::string::npos);
  EXPECT_NE(text.find("3/3"), std::string::npos);
  EXPECT_NE(text.find("loss=0.25"), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace sdtune
