#include "image/area_resize.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "image/opencv_resize.h"

namespace sdtune {
namespace {

// Four floats in one register: a pixel's colours and one lane that is carried along unused.
using Float4 = float __attribute__((vector_size(16)));

// The share that each source position has in one target position.
struct Cover {
  int first = 0;
  std::vector<float> weights;
};

// How many source positions go into one target position, computed as OpenCV does to the last bit.
double shrink_factor(int source, int target) {
  return 1.0 / (static_cast<double>(target) / source);
}

// A sliver under a thousandth of a pixel at either end is left out, as in OpenCV.
std::vector<Cover> area_covers(int source, int target) {
  constexpr double kSliver = 1e-3;
  const double factor = shrink_factor(source, target);
  std::vector<Cover> covers(target);
  for (int i = 0; i < target; ++i) {
    const double begin = i * factor, end = begin + factor;
    const double length = std::min(factor, source - begin);
    const int whole_end = std::min(static_cast<int>(std::floor(end)), source - 1);
    const int whole_begin = std::min(static_cast<int>(std::ceil(begin)), whole_end);
    Cover& cover = covers[i];
    cover.first = whole_begin;
    if (whole_begin - begin > kSliver) {
      cover.first = whole_begin - 1;
      cover.weights.push_back(static_cast<float>((whole_begin - begin) / length));
    }
    for (int s = whole_begin; s < whole_end; ++s) {
      cover.weights.push_back(static_cast<float>(1.0 / length));
    }
    if (end - whole_end > kSliver) {
      const double part = std::min(std::min(end - whole_end, 1.0), length);
      cover.weights.push_back(static_cast<float>(part / length));
    }
  }
  return covers;
}

// out [covers, 4] from a row [pixels, 3] and one more value.
void shrink_colours(const float* row, const std::vector<Cover>& covers, float* out) {
  for (const Cover& cover : covers) {
    const float* from = row + size_t{3} * cover.first;
    Float4 sum = {};
    for (const float weight : cover.weights) {
      Float4 pixel;
      std::memcpy(&pixel, from, sizeof pixel);
      sum += pixel * weight;
      from += 3;
    }
    std::memcpy(out, &sum, sizeof sum);
    out += 4;
  }
}

// out [covers].
void shrink_plane(const float* row, const std::vector<Cover>& covers, float* out) {
  for (const Cover& cover : covers) {
    float sum = 0;
    for (size_t k = 0; k < cover.weights.size(); ++k) {
      sum += row[cover.first + k] * cover.weights[k];
    }
    *out++ = sum;
  }
}

// One source row after another shrunk to the target's width; a row on the border of two target rows
// is asked for twice in succession and shrunk once.
class ShrunkRows {
 public:
  ShrunkRows(const Pixels& from, int width)
      : from_(from),
        covers_(area_covers(from.width, width)),
        source_(from.stride() + 1),
        values_(size_t{1} * width * lanes()) {}

  int lanes() const { return from_.channels == 3 ? 4 : 1; }

  const std::vector<float>& row(int y) {
    if (y == current_) return values_;
    current_ = y;
    std::copy_n(from_.row(y), from_.stride(), source_.begin());
    if (from_.channels == 3) {
      shrink_colours(source_.data(), covers_, values_.data());
    } else {
      shrink_plane(source_.data(), covers_, values_.data());
    }
    return values_;
  }

 private:
  Pixels from_;
  std::vector<Cover> covers_;
  std::vector<float> source_;  // one row and one value more, which no sum keeps
  std::vector<float> values_;
  int current_ = -1;
};

// Rounded half to even, as OpenCV does: from this addend on a float has no fraction bits left.
uint8_t to_byte(float value) {
  constexpr float kNoFraction = 12582912.0f;
  return static_cast<uint8_t>(std::min((value + kNoFraction) - kNoFraction, 255.0f));
}

void store_row(const std::vector<float>& sums, int channels, uint8_t* out) {
  const size_t lanes = channels == 3 ? 4 : 1;
  for (size_t i = 0; i < sums.size(); i += lanes) {
    for (int c = 0; c < channels; ++c) *out++ = to_byte(sums[i + c]);
  }
}

std::vector<uint8_t> shrink(const Pixels& from, int width, int height) {
  ShrunkRows rows(from, width);
  std::vector<float> sums(size_t{1} * width * rows.lanes());
  const size_t stride = size_t{1} * width * from.channels;
  std::vector<uint8_t> out(stride * height);
  const std::vector<Cover> covers = area_covers(from.height, height);
  for (int y = 0; y < height; ++y) {
    const Cover& cover = covers[y];
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (size_t k = 0; k < cover.weights.size(); ++k) {
      const float weight = cover.weights[k];
      const float* values = rows.row(cover.first + static_cast<int>(k)).data();
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += weight * values[i];
    }
    store_row(sums, from.channels, &out[y * stride]);
  }
  return out;
}

bool is_whole(double factor) { return std::abs(factor - std::lrint(factor)) < DBL_EPSILON; }

// The sum of `factor` x `factor` blocks is exact, so OpenCV's one rounding of sum / area is too.
std::vector<uint8_t> shrink_by_whole(const Pixels& from, int width, int height) {
  const int across = static_cast<int>(std::lrint(shrink_factor(from.width, width)));
  const int down = static_cast<int>(std::lrint(shrink_factor(from.height, height)));
  const float share = 1.0f / static_cast<float>(across * down);
  const int channels = from.channels;
  std::vector<uint8_t> out(size_t{1} * width * height * channels);
  std::vector<uint32_t> sums(from.stride());
  uint8_t* to = out.data();
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 0u);
    for (int k = 0; k < down; ++k) {
      const uint8_t* row = from.row(y * down + k);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += row[i];
    }
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        uint32_t sum = 0;
        for (int k = 0; k < across; ++k) sum += sums[(x * across + k) * channels + c];
        *to++ = to_byte(static_cast<float>(sum) * share);
      }
    }
  }
  return out;
}

}  // namespace

std::vector<uint8_t> resize_area(const Pixels& from, int width, int height) {
  const bool grows = width > from.width || height > from.height;
  const double across = shrink_factor(from.width, width);
  const double down = shrink_factor(from.height, height);
  const bool whole = is_whole(across) && is_whole(down);
  const bool halves = whole && std::lrint(across) == 2 && std::lrint(down) == 2;
  if (grows || halves) return resize_by_opencv(from, width, height, cv::INTER_AREA);
  return whole ? shrink_by_whole(from, width, height) : shrink(from, width, height);
}

}  // namespace sdtune
