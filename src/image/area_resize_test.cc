// OpenCV itself is the reference: every byte must be its byte.
#include "image/area_resize.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <opencv2/imgproc.hpp>
#include <random>

namespace sdtune {
namespace {

std::vector<uint8_t> noise(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> out(bytes);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

std::vector<uint8_t> by_opencv(const Pixels& from, int width, int height) {
  const cv::Mat source(from.height, from.width, CV_8UC(from.channels),
                       const_cast<uint8_t*>(from.data));
  cv::Mat target;
  cv::resize(source, target, {width, height}, 0, 0, cv::INTER_AREA);
  return {target.data, target.data + target.total() * target.elemSize()};
}

RC_GTEST_PROP(AreaResize, EqualsOpenCv, ()) {
  const int channels = *rc::gen::element(1, 3);
  const int width = *rc::gen::inRange(1, 300), height = *rc::gen::inRange(1, 200);
  const auto bytes = noise(size_t{1} * width * height * channels, *rc::gen::arbitrary<uint32_t>());
  const Pixels from{bytes.data(), width, height, channels};
  const int to_width = *rc::gen::inRange(1, width + 1);
  const int to_height = *rc::gen::inRange(1, height + 1);
  RC_ASSERT(resize_area(from, to_width, to_height) == by_opencv(from, to_width, to_height));
}

RC_GTEST_PROP(AreaResize, EqualsOpenCvForWholeFactors, ()) {
  const int channels = *rc::gen::element(1, 3);
  const int across = *rc::gen::inRange(1, 9), down = *rc::gen::inRange(1, 9);
  const int width = *rc::gen::inRange(1, 40), height = *rc::gen::inRange(1, 40);
  const auto bytes =
      noise(size_t{1} * width * across * height * down * channels, *rc::gen::arbitrary<uint32_t>());
  const Pixels from{bytes.data(), width * across, height * down, channels};
  RC_ASSERT(resize_area(from, width, height) == by_opencv(from, width, height));
}

// The sizes that pictures and buckets really have.
TEST(AreaResize, EqualsOpenCvAtPictureSizes) {
  const auto bytes = noise(size_t{2048} * 1536 * 3, 1);
  for (const auto& [width, height] : {std::pair{576, 448},
                                      {597, 448},
                                      {683, 512},
                                      {512, 384},
                                      {1024, 768},
                                      {2048, 700},
                                      {513, 1536},
                                      {2047, 1535}}) {
    const Pixels from{bytes.data(), 2048, 1536, 3};
    EXPECT_TRUE(resize_area(from, width, height) == by_opencv(from, width, height))
        << width << " x " << height;
  }
}

}  // namespace
}  // namespace sdtune
