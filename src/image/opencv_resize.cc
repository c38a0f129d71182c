#include "image/opencv_resize.h"

#include <mutex>
#include <opencv2/imgproc.hpp>

namespace sdtune {

std::vector<uint8_t> resize_by_opencv(const Pixels& from, int width, int height, int method) {
  // The loader's threads each resize their own picture.
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(0); });
  const int type = CV_8UC(from.channels);
  const cv::Mat source(from.height, from.width, type, const_cast<uint8_t*>(from.data));
  std::vector<uint8_t> out(size_t{1} * width * height * from.channels);
  cv::Mat target(height, width, type, out.data());
  cv::resize(source, target, target.size(), 0, 0, method);
  return out;
}

}  // namespace sdtune
