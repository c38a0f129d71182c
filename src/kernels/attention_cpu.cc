#include "kernels/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention_blocks_cpu.h"
#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

// Whose weights exist at once. All that belongs to a strip of queries and a block of keys stays in
// the first cache.
constexpr int64_t kQueries = 128, kKeys = 96;

// Weights [keys, columns] of a strip of queries, a column each, and what their softmax has added up
// to so far.
struct Strip {
  float* weights;
  int64_t keys, columns;
  float *largest, *sums;  // [columns]
  float* out;             // [width, columns]
  int64_t width;
};

// Products to e^(product - the largest so far); sums and results come down to the new largest.
SDTUNE_EACH_WIDTH void soften(const Strip& strip) {
  const Strip p = strip;
  for (int64_t column = 0; column < p.columns; column += kLanes) {
    float* const weights = p.weights + column;
    const Floats before = load_lanes(p.largest + column);
    Floats largest = before;
    for (int64_t key = 0; key < p.keys; ++key) {
      const Floats product = load_lanes(weights + key * p.columns);
      largest = product > largest ? product : largest;
    }
    const Floats shrunk = exp_of(before - largest);
    Floats sum = load_lanes(p.sums + column) * shrunk;
    for (int64_t key = 0; key < p.keys; ++key) {
      const Floats weight = exp_of(load_lanes(weights + key * p.columns) - largest);
      store_lanes(weight, weights + key * p.columns);
      sum += weight;
    }
    store_lanes(largest, p.largest + column);
    store_lanes(sum, p.sums + column);
    for (int64_t i = 0; i < p.width; ++i) {
      float* const out = p.out + i * p.columns + column;
      store_lanes(load_lanes(out) * shrunk, out);
    }
  }
}

SDTUNE_EACH_WIDTH void scale_all(float* values, int64_t count, float scale) {
  for (int64_t i = 0; i < count; ++i) values[i] *= scale;
}

SDTUNE_EACH_WIDTH void divide_columns(float* values, const float* sums, int64_t rows,
                                      int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < columns; ++i) values[row * columns + i] /= sums[i];
  }
}

// Of one block of queries.
struct Softmax {
  float largest[kQueries], sums[kQueries];
};

struct Scratch {
  float* values;   // v, interleaved
  float* queries;  // qᵀ·scale in strips
  float* out;      // the result, transposed, in strips
  float* weights;  // of one strip

  Scratch(float* memory, const HeadSizes& sizes)
      : values(memory),
        queries(values + sizes.keys * sizes.width + kBesideInterleaved),
        out(queries + kQueries * sizes.width),
        weights(out + kQueries * sizes.width) {}
};

void attend_block(const AttentionForward& call, int64_t first, const Scratch& scratch,
                  Softmax& softmax) {
  const auto& [queries, keys, width, scale, tile] = call.sizes;
  const int64_t here = std::min(kQueries, queries - first);
  pack_transposed(rows_from(call.q, first), here, call.sizes, scratch.queries);
  scale_all(scratch.queries, whole_units(here) * width, scale);
  std::fill_n(scratch.out, whole_units(here) * width, 0.0F);
  std::fill_n(softmax.largest, kQueries, -std::numeric_limits<float>::infinity());
  std::fill_n(softmax.sums, kQueries, 0.0F);
  for (int64_t key = 0; key < keys; key += kKeys) {
    const int64_t count = std::min(kKeys, keys - key);
    for_strips(here, tile, [&](int64_t column, int64_t columns, int64_t) {
      float* const out = scratch.out + column * width;
      multiply_strip({as_they_lie(rows_from(call.k, key)), scratch.queries + column * width,
                      scratch.weights, columns, width, /*adds=*/false},
                     count, columns, tile);
      soften({scratch.weights, count, columns, softmax.largest + column, softmax.sums + column, out,
              width});
      multiply_strip({interleaved(scratch.values + key * width), scratch.weights, out, columns,
                      count, /*adds=*/true},
                     width, columns, tile);
    });
  }
  for_strips(here, tile, [&](int64_t column, int64_t columns, int64_t there) {
    float* const out = scratch.out + column * width;
    divide_columns(out, softmax.sums + column, width, columns);
    flip({out, columns, call.out.data + (first + column) * call.out.step, call.out.step, width,
          there, /*adds=*/false});
  });
  for (int64_t i = 0; i < here; ++i) {
    call.log_sums[first + i] = softmax.largest[i] + std::log(softmax.sums[i]);
  }
}

}  // namespace

int64_t attention_forward_scratch(const HeadSizes& sizes) {
  return (sizes.keys + 2 * kQueries) * sizes.width + kBesideInterleaved +
         kKeys * static_cast<int64_t>(GemmTile::kWide);
}

void attention_forward_cpu(const AttentionForward& call, float* memory) {
  const HeadSizes& sizes = call.sizes;
  const Scratch scratch(memory, sizes);
  for (int64_t key = 0; key < sizes.keys; key += kKeys) {
    interleave_transposed(rows_from(call.v, key), std::min(kKeys, sizes.keys - key), sizes.width,
                          scratch.values + key * sizes.width);
  }
  Softmax softmax;
  for (int64_t first = 0; first < sizes.queries; first += kQueries) {
    attend_block(call, first, scratch, softmax);
  }
}

}  // namespace sdtune
