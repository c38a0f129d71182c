#include "image/area_resize.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "base/vector_width.h"
#include "image/opencv_resize.h"

namespace sdtune {
namespace {

constexpr int kBlockRows = 4;  // rows that share one walk over the weights

// Four floats in one register: a pixel's colours and one lane that is carried along unused.
using Float4 = float __attribute__((vector_size(16)));

// The source positions that one target position covers.
struct Cover {
  int first = 0;
  int count = 0;
};

// The covers of all target positions and, one after another, the share of each position in them.
struct Covers {
  std::vector<Cover> positions;
  std::vector<float> weights;
};

// How many source positions go into one target position, computed as OpenCV does to the last bit.
double shrink_factor(int source, int target) {
  return 1.0 / (static_cast<double>(target) / source);
}

// A sliver under a thousandth of a pixel at either end is left out, as in OpenCV.
Covers area_covers(int source, int target) {
  constexpr double kSliver = 1e-3;
  const double factor = shrink_factor(source, target);
  Covers covers;
  for (int i = 0; i < target; ++i) {
    const double begin = i * factor, end = begin + factor;
    const double length = std::min(factor, source - begin);
    const int whole_end = std::min(static_cast<int>(std::floor(end)), source - 1);
    const int whole_begin = std::min(static_cast<int>(std::ceil(begin)), whole_end);
    const size_t before = covers.weights.size();
    int first = whole_begin;
    if (whole_begin - begin > kSliver) {
      first = whole_begin - 1;
      covers.weights.push_back(static_cast<float>((whole_begin - begin) / length));
    }
    for (int s = whole_begin; s < whole_end; ++s) {
      covers.weights.push_back(static_cast<float>(1.0 / length));
    }
    if (end - whole_end > kSliver) {
      const double part = std::min(std::min(end - whole_end, 1.0), length);
      covers.weights.push_back(static_cast<float>(part / length));
    }
    covers.positions.push_back({first, static_cast<int>(covers.weights.size() - before)});
  }
  return covers;
}

SDTUNE_EACH_WIDTH
void to_floats(const uint8_t* from, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = from[i];
}

SDTUNE_EACH_WIDTH
void add_weighted(const float* values, float weight, size_t count, float* sums) {
  for (size_t i = 0; i < count; ++i) sums[i] += weight * values[i];
}

// Each of the block's rows [pixels, 3], `stride` apart and with one more value behind the last, to
// out [kBlockRows, covers, 4].
SDTUNE_EACH_WIDTH
void shrink_colours(const float* rows, size_t stride, const Covers& covers, float* out) {
  const float* weight = covers.weights.data();
  const size_t out_stride = 4 * covers.positions.size();
  for (const Cover& cover : covers.positions) {
    const float* from = rows + size_t{3} * cover.first;
    Float4 sums[kBlockRows] = {};
    for (int k = 0; k < cover.count; ++k) {
      for (int row = 0; row < kBlockRows; ++row) {
        Float4 pixel;
        std::memcpy(&pixel, from + row * stride, sizeof pixel);
        sums[row] += pixel * *weight;
      }
      from += 3;
      ++weight;
    }
    for (int row = 0; row < kBlockRows; ++row) {
      std::memcpy(out + row * out_stride, &sums[row], sizeof sums[row]);
    }
    out += 4;
  }
}

// The same for rows [pixels] to out [kBlockRows, covers].
void shrink_planes(const float* rows, size_t stride, const Covers& covers, float* out) {
  const float* weight = covers.weights.data();
  for (const Cover& cover : covers.positions) {
    float sums[kBlockRows] = {};
    for (int k = cover.first; k < cover.first + cover.count; ++k, ++weight) {
      for (int row = 0; row < kBlockRows; ++row) sums[row] += rows[row * stride + k] * *weight;
    }
    for (int row = 0; row < kBlockRows; ++row) out[row * covers.positions.size()] = sums[row];
    ++out;
  }
}

// Source rows shrunk to the target's width, a block at a time; asked for from the top down.
class ShrunkRows {
 public:
  ShrunkRows(const RowSource& rows, Size from, int channels, int width)
      : rows_(rows),
        height_(from.height),
        channels_(channels),
        covers_(area_covers(from.width, width)),
        stride_(size_t{1} * from.width * channels + 1),
        source_(kBlockRows * stride_),
        values_(kBlockRows * row_length()) {}

  size_t row_length() const { return covers_.positions.size() * (channels_ == 3 ? 4 : 1); }

  // [width, 4], or [width] of a plane.
  const float* row(int y) {
    if (y / kBlockRows != block_) {
      block_ = y / kBlockRows;
      next_block();
    }
    return &values_[(y % kBlockRows) * row_length()];
  }

 private:
  void next_block() {
    for (int i = 0; i < kBlockRows; ++i) {
      const int y = std::min(block_ * kBlockRows + i, height_ - 1);
      to_floats(rows_(y), stride_ - 1, &source_[i * stride_]);
    }
    const auto shrink_block = channels_ == 3 ? shrink_colours : shrink_planes;
    shrink_block(source_.data(), stride_, covers_, values_.data());
  }

  const RowSource& rows_;
  int height_;
  int channels_;
  Covers covers_;
  size_t stride_;
  std::vector<float> source_;  // [kBlockRows, stride]: no sum keeps a row's last value
  std::vector<float> values_;  // [kBlockRows, row_length]
  int block_ = -1;
};

// Rounded half to even, as OpenCV does: from this addend on a float has no fraction bits left.
inline uint8_t to_byte(float value) {
  constexpr float kNoFraction = 12582912.0f;
  return static_cast<uint8_t>(std::min((value + kNoFraction) - kNoFraction, 255.0f));
}

SDTUNE_EACH_WIDTH
void to_bytes(const float* from, size_t count, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = to_byte(from[i]);
}

// `bytes` [width, 4] without each pixel's unused lane: the next pixel overwrites what the one
// before wrote too far.
void store_colours(const std::vector<uint8_t>& bytes, uint8_t* out) {
  size_t i = 0;
  for (; i + 4 < bytes.size(); i += 4, out += 3) std::memcpy(out, &bytes[i], 4);
  std::memcpy(out, &bytes[i], 3);
}

std::vector<uint8_t> shrink_by_parts(const RowSource& rows, Size from, int channels, Size to) {
  ShrunkRows shrunk(rows, from, channels, to.width);
  std::vector<float> sums(shrunk.row_length());
  std::vector<uint8_t> bytes(sums.size());
  const size_t stride = size_t{1} * to.width * channels;
  std::vector<uint8_t> out(stride * to.height);
  const Covers covers = area_covers(from.height, to.height);
  const float* weight = covers.weights.data();
  for (int y = 0; y < to.height; ++y) {
    const Cover& cover = covers.positions[y];
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (int k = cover.first; k < cover.first + cover.count; ++k) {
      add_weighted(shrunk.row(k), *weight++, sums.size(), sums.data());
    }
    to_bytes(sums.data(), sums.size(), bytes.data());
    if (channels == 3) {
      store_colours(bytes, &out[y * stride]);
    } else {
      std::copy(bytes.begin(), bytes.end(), &out[y * stride]);
    }
  }
  return out;
}

bool is_whole(double factor) { return std::abs(factor - std::lrint(factor)) < DBL_EPSILON; }

// The sum of `factor` x `factor` blocks is exact, so OpenCV's one rounding of sum / area is too.
std::vector<uint8_t> shrink_by_whole(const RowSource& rows, Size from, int channels, Size to) {
  const int across = static_cast<int>(std::lrint(shrink_factor(from.width, to.width)));
  const int down = static_cast<int>(std::lrint(shrink_factor(from.height, to.height)));
  const float share = 1.0f / static_cast<float>(across * down);
  std::vector<uint8_t> out(size_t{1} * to.width * to.height * channels);
  std::vector<uint32_t> sums(size_t{1} * from.width * channels);
  uint8_t* next = out.data();
  for (int y = 0; y < to.height; ++y) {
    std::fill(sums.begin(), sums.end(), 0u);
    for (int k = 0; k < down; ++k) {
      const uint8_t* row = rows(y * down + k);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += row[i];
    }
    for (int x = 0; x < to.width; ++x) {
      for (int c = 0; c < channels; ++c) {
        uint32_t sum = 0;
        for (int k = 0; k < across; ++k) sum += sums[(x * across + k) * channels + c];
        *next++ = to_byte(static_cast<float>(sum) * share);
      }
    }
  }
  return out;
}

}  // namespace

bool shrinks_by_rows(Size from, Size to) {
  if (to.width > from.width || to.height > from.height) return false;
  const double across = shrink_factor(from.width, to.width);
  const double down = shrink_factor(from.height, to.height);
  const bool halves =
      is_whole(across) && is_whole(down) && std::lrint(across) == 2 && std::lrint(down) == 2;
  return !halves;
}

std::vector<uint8_t> shrink_rows(const RowSource& rows, Size from, int channels, Size to) {
  const bool whole = is_whole(shrink_factor(from.width, to.width)) &&
                     is_whole(shrink_factor(from.height, to.height));
  return (whole ? shrink_by_whole : shrink_by_parts)(rows, from, channels, to);
}

std::vector<uint8_t> resize_area(const Pixels& from, int width, int height) {
  const Size size{from.width, from.height}, to{width, height};
  if (!shrinks_by_rows(size, to)) return resize_by_opencv(from, width, height, cv::INTER_AREA);
  return shrink_rows([&](int y) { return from.row(y); }, size, from.channels, to);
}

}  // namespace sdtune
