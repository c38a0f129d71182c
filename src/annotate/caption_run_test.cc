#include "annotate/caption_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/system.h"
#include "image/encode.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::Pair;

// Pictures of widths 1, 2, … and what was asked for them.
class CaptionRun : public testing::Test {
 protected:
  CaptionRun() {
    for (int i = 0; i < 7; ++i) {
      work_.push_back({folder_ / (std::to_string(i) + ".png")});
      write_png(work_.back().picture, test_picture(i + 1, 3));
    }
  }

  CaptionReport run(const CaptionRunOptions& options) {
    const Captioner captioner{
        .prepare = [](const Image& image) { return image; },
        .write =
            [this](std::span<const ReadyPicture> pictures) {
              std::vector<int> widths;
              std::vector<std::string> captions;
              for (const ReadyPicture& one : pictures) {
                widths.push_back(one.image.width);
                captions.push_back("width " + std::to_string(one.image.width));
                numbers_[one.image.width] = one.number;
              }
              batches_.push_back(widths);
              if (stop_after_batch_) request_stop_for_test(15);
              return captions;
            }};
    const CaptionSink sink{
        .keep = [this](size_t place, const std::string& text) { kept_[place] = text; },
        .fail = [this](size_t place, const std::string&) { failed_.push_back(place); }};
    return caption_pictures(work_, captioner, options, sink);
  }

  TestFolder folder_;
  std::vector<CaptionWork> work_;
  std::vector<std::vector<int>> batches_;
  std::map<size_t, std::string> kept_;
  std::map<int, uint64_t> numbers_;
  std::vector<size_t> failed_;
  bool stop_after_batch_ = false;
};

TEST_F(CaptionRun, BatchesInOrder) {
  const CaptionReport report = run({.batch_size = 3, .threads = 2});
  EXPECT_THAT(batches_, ElementsAre(ElementsAre(1, 2, 3), ElementsAre(4, 5, 6), ElementsAre(7)));
  EXPECT_EQ(report.captioned, 7);
  EXPECT_EQ(kept_[6], "width 7");
}

TEST_F(CaptionRun, WhatIsDoneStaysAndBatchesStayTheSame) {
  for (const size_t done : {0u, 1u, 2u, 4u}) work_[done].done = true;
  const CaptionReport report = run({.batch_size = 3, .threads = 2});
  EXPECT_THAT(batches_, ElementsAre(ElementsAre(4, 5, 6), ElementsAre(7)));
  EXPECT_THAT(kept_, ElementsAre(Pair(3, "width 4"), Pair(5, "width 6"), Pair(6, "width 7")));
  EXPECT_EQ(report.captioned, 3);
  EXPECT_EQ(report.done_before, 4);
}

TEST_F(CaptionRun, ProcessesShareTheBatches) {
  const CaptionReport first = run({.batch_size = 2, .threads = 1, .rank = {0, 2, 0}});
  EXPECT_THAT(batches_, ElementsAre(ElementsAre(1, 2), ElementsAre(5, 6)));
  batches_.clear();
  const CaptionReport second = run({.batch_size = 2, .threads = 1, .rank = {1, 2, 1}});
  EXPECT_THAT(batches_, ElementsAre(ElementsAre(3, 4), ElementsAre(7)));
  EXPECT_EQ(first.captioned + second.captioned, 7);
}

TEST_F(CaptionRun, APictureThatCannotBeReadIsLeftOut) {
  folder_.write("1.png", "no picture");
  folder_.write("3.png", "nor this, which has its caption");
  work_[3].done = true;
  const CaptionReport report = run({.batch_size = 3, .threads = 2});
  EXPECT_THAT(batches_, ElementsAre(ElementsAre(1, 3), ElementsAre(5, 6), ElementsAre(7)));
  EXPECT_THAT(failed_, ElementsAre(1));
  EXPECT_EQ(report.captioned, 5);
  EXPECT_EQ(report.failed, 1);
}

TEST_F(CaptionRun, AStopSignalEndsAfterTheBatch) {
  stop_after_batch_ = true;
  const CaptionReport report = run({.batch_size = 2, .threads = 2});
  request_stop_for_test(0);
  EXPECT_EQ(report.captioned, 2);
  EXPECT_THAT(kept_, ElementsAre(Pair(0, "width 1"), Pair(1, "width 2")));
}

TEST_F(CaptionRun, ANumberStandsForThePicturesBytes) {
  run({.batch_size = 7, .threads = 2});
  const std::map<int, uint64_t> before = numbers_;
  std::filesystem::rename(work_[0].picture, folder_ / "moved.png");
  work_[0].picture = folder_ / "moved.png";
  write_png(work_[1].picture, test_picture(2, 4));
  run({.batch_size = 2, .threads = 2});
  EXPECT_EQ(numbers_[1], before.at(1));
  EXPECT_NE(numbers_[2], before.at(2));
}

TEST_F(CaptionRun, WhatTheCaptionerThrowsEndsTheRun) {
  const Captioner captioner{
      .prepare = [](const Image& image) { return image; },
      .write = [](auto) -> std::vector<std::string> { throw Error("out of words"); }};
  EXPECT_THROW(caption_pictures(work_, captioner, {.batch_size = 2}, {}), Error);
}

}  // namespace
}  // namespace sdtune
