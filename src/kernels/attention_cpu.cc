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

// Weights [keys, columns] of a strip of queries, a column each, and what their softmax has come to
// so far.
struct Strip {
  float* weights;
  int64_t keys, columns;
  float *largest, *sums;  // [columns]
  float* shrunk;          // [columns], by how much what was added up so far comes down
};

// Products to e^(product - the largest so far). Each block of keys is summed up by itself, which
// keeps the error of thousands of keys small.
SDTUNE_EACH_WIDTH void soften(const Strip& strip) {
  const Strip p = strip;
  for (int64_t column = 0; column < p.columns; column += kLanes) {
    float* const weights = p.weights + column;
    const Floats before = load_lanes(p.largest + column);
    Floats largest = before, sum{};
    for (int64_t key = 0; key < p.keys; ++key) {
      const Floats product = load_lanes(weights + key * p.columns);
      largest = product > largest ? product : largest;
    }
    for (int64_t key = 0; key < p.keys; ++key) {
      const Floats weight = exp_of(load_lanes(weights + key * p.columns) - largest);
      store_lanes(weight, weights + key * p.columns);
      sum += weight;
    }
    const Floats shrunk = exp_of(before - largest);
    store_lanes(shrunk, p.shrunk + column);
    store_lanes(largest, p.largest + column);
    store_lanes(load_lanes(p.sums + column) * shrunk + sum, p.sums + column);
  }
}

// [rows, columns]: out = out * shrunk + more.
SDTUNE_EACH_WIDTH void add_block(float* out, const float* more, const float* shrunk, int64_t rows,
                                 int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, out += columns, more += columns) {
    for (int64_t i = 0; i < columns; i += kLanes) {
      store_lanes(load_lanes(out + i) * load_lanes(shrunk + i) + load_lanes(more + i), out + i);
    }
  }
}

SDTUNE_EACH_WIDTH void divide_columns(float* values, const float* sums, int64_t rows,
                                      int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < columns; ++i) values[row * columns + i] /= sums[i];
  }
}

// Of one block of queries.
struct Softmax {
  float largest[kQueries], sums[kQueries], shrunk[kQueries];
};

struct Scratch {
  float* values;    // v, interleaved
  float* queries;   // qᵀ·scale in strips
  float* out;       // the result, transposed, in strips
  float* weights;   // of one strip
  float* products;  // of one strip with the values of a block
  int64_t size;

  Scratch(float* memory, const HeadSizes& sizes) {
    constexpr auto kStrip = static_cast<int64_t>(GemmTile::kWide);
    ScratchParts parts(memory);
    values = parts.take(sizes.keys * sizes.width);
    queries = parts.take(kQueries * sizes.width);
    out = parts.take(kQueries * sizes.width);
    weights = parts.take(kKeys * kStrip);
    products = parts.take(sizes.width * kStrip);
    size = parts.size();
  }
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
      multiply_strip({as_they_lie(rows_from(call.k, key)), scratch.queries + column * width,
                      scratch.weights, columns, width, /*adds=*/false},
                     count, columns, tile);
      soften({scratch.weights, count, columns, softmax.largest + column, softmax.sums + column,
              softmax.shrunk + column});
      multiply_strip({interleaved(scratch.values + key * width), scratch.weights, scratch.products,
                      columns, count, /*adds=*/false},
                     width, columns, tile);
      add_block(scratch.out + column * width, scratch.products, softmax.shrunk + column, width,
                columns);
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

int64_t attention_forward_scratch(const HeadSizes& sizes) { return Scratch(nullptr, sizes).size; }

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
