#include <algorithm>

#include "kernels/attention_blocks_cpu.h"
#include "kernels/attention_cpu.h"
#include "kernels/cpu_lanes.h"

namespace sdtune {

namespace {

// Whose weights exist at once. What stands for a block of keys stays in the second cache while all
// queries pass by.
constexpr int64_t kQueries = 48, kKeys = 256;

// Weights of some queries and a strip of keys, [queries, columns].
struct Strip {
  float* weights;    // products; then the weights
  float* gradients;  // of the weights; then of the products
  int64_t queries, columns;
  const float *log_sums, *sums;  // [queries]; sums of gradient times weight
};

// Weights that exp_of() would hold up are 0: their gradients would be too small for normal floats,
// with which some processors take their time.
SDTUNE_EACH_WIDTH void differentiate(const Strip& strip) {
  const Strip p = strip;
  for (int64_t query = 0; query < p.queries; ++query) {
    const Floats log_sum = Floats{} + p.log_sums[query], sum = Floats{} + p.sums[query];
    for (int64_t i = query * p.columns; i < (query + 1) * p.columns; i += kLanes) {
      const Floats power = load_lanes(p.weights + i) - log_sum;
      const Floats weight = power < -87.3F ? Floats{} : exp_of(power);
      store_lanes(weight, p.weights + i);
      store_lanes(weight * (load_lanes(p.gradients + i) - sum), p.gradients + i);
    }
  }
}

void scale_rows(const HeadRows<const float>& from, const HeadSizes& sizes, float* to) {
  for (int64_t row = 0; row < sizes.queries; ++row) {
    for (int64_t i = 0; i < sizes.width; ++i) {
      to[row * sizes.width + i] = from.data[row * from.step + i] * sizes.scale;
    }
  }
}

SDTUNE_EACH_WIDTH void multiply_and_sum_rows(const HeadRows<const float>& a,
                                             const HeadRows<const float>& b, const HeadSizes& sizes,
                                             float* sums) {
  for (int64_t row = 0; row < sizes.queries; ++row) {
    const float *x = a.data + row * a.step, *y = b.data + row * b.step;
    Floats sum{};
    for (int64_t i = 0; i < sizes.width; i += kLanes) {
      const int64_t there = sizes.width - i;
      sum += load_lanes(x + i, there) * load_lanes(y + i, there);
    }
    sums[row] = sum_of_lanes(sum);
  }
}

// Gradients are summed up transposed, in strips.
struct Scratch {
  // For all queries: q·scale, also interleaved; interleaved, the gradient; the gradient of q; and Σ
  // gradient·result. From q·scale come the same products, to the last bit, as in the forward pass.
  float *scaled, *queries, *grads, *grad_queries, *sums;
  // For a block of keys: in strips; interleaved, k·scale; and the gradients of k and v.
  float *key_strips, *value_strips, *keys, *grad_keys, *grad_values;
  // For a block of keys and of queries: the gradient of the products, transposed, in strips.
  float* products;
  // For a strip of keys.
  float *weights, *gradients;
  int64_t size;

  Scratch(float* memory, const HeadSizes& sizes) {
    ScratchParts parts(memory);
    for (float** part : {&scaled, &queries, &grads}) {
      *part = parts.take(sizes.queries * sizes.width);
    }
    grad_queries = parts.take(whole_units(sizes.queries) * sizes.width);
    sums = parts.take(sizes.queries);
    for (float** part : {&key_strips, &value_strips, &keys, &grad_keys, &grad_values}) {
      *part = parts.take(kKeys * sizes.width);
    }
    products = parts.take(kKeys * kQueries);
    for (float** part : {&weights, &gradients}) {
      *part = parts.take(kQueries * static_cast<int64_t>(GemmTile::kWide));
    }
    size = parts.size();
  }
};

struct Range {
  int64_t first, count;
};

void prepare_queries(const AttentionBackward& call, const Scratch& scratch) {
  const HeadSizes& sizes = call.sizes;
  scale_rows(call.q, sizes, scratch.scaled);
  for (int64_t first = 0; first < sizes.queries; first += kQueries) {
    const int64_t count = std::min(kQueries, sizes.queries - first);
    const int64_t place = first * sizes.width;
    interleave_transposed({scratch.scaled + place, sizes.width}, count, sizes.width,
                          scratch.queries + place);
    interleave_transposed(rows_from(call.grad, first), count, sizes.width, scratch.grads + place);
  }
  multiply_and_sum_rows(call.grad, call.out, sizes, scratch.sums);
  std::fill_n(scratch.grad_queries, whole_units(sizes.queries) * sizes.width, 0.0F);
}

void prepare_keys(const AttentionBackward& call, const Range& keys, const Scratch& scratch) {
  const int64_t width = call.sizes.width;
  const auto k = rows_from(call.k, keys.first), v = rows_from(call.v, keys.first);
  pack_transposed(k, keys.count, call.sizes, scratch.key_strips);
  pack_transposed(v, keys.count, call.sizes, scratch.value_strips);
  interleave_transposed(k, keys.count, width, scratch.keys);
  scale_all(scratch.keys, keys.count * width, call.sizes.scale);
  std::fill_n(scratch.grad_keys, whole_units(keys.count) * width, 0.0F);
  std::fill_n(scratch.grad_values, whole_units(keys.count) * width, 0.0F);
}

// A block of queries and one of keys.
void add_gradients(const AttentionBackward& call, const Range& queries, const Range& keys,
                   const Scratch& scratch) {
  const int64_t width = call.sizes.width, place = queries.first * width;
  const GemmTile tile = call.sizes.tile;
  const GemmRows q = as_they_lie({scratch.scaled + place, width});
  const GemmRows grad = as_they_lie(rows_from(call.grad, queries.first));
  // Columns without a query are multiplied too, of which none is read; not what is no number,
  // though.
  if (queries.count % kGemmUnit != 0) std::fill_n(scratch.products, kQueries * kKeys, 0.0F);
  for_strips(keys.count, tile, [&](int64_t column, int64_t columns, int64_t there) {
    const int64_t strip = column * width;
    const auto multiply = [&](const GemmRows& a, const float* b, float* c, int64_t depth, bool adds,
                              int64_t rows) {
      multiply_strip({a, b, c, columns, depth, adds}, rows, columns, tile);
    };
    multiply(q, scratch.key_strips + strip, scratch.weights, width, false, queries.count);
    multiply(grad, scratch.value_strips + strip, scratch.gradients, width, false, queries.count);
    differentiate({scratch.weights, scratch.gradients, queries.count, columns,
                   call.log_sums + queries.first, scratch.sums + queries.first});
    multiply(interleaved(scratch.grads + place), scratch.weights, scratch.grad_values + strip,
             queries.count, true, width);
    multiply(interleaved(scratch.queries + place), scratch.gradients, scratch.grad_keys + strip,
             queries.count, true, width);
    for_strips(queries.count, tile, [&](int64_t row, int64_t rows, int64_t rows_there) {
      flip({scratch.gradients + row * columns, columns,
            scratch.products + row * keys.count + column * rows, rows, rows_there, there,
            /*adds=*/false});
    });
  });
  for_strips(queries.count, tile, [&](int64_t row, int64_t rows, int64_t) {
    multiply_strip({interleaved(scratch.keys), scratch.products + row * keys.count,
                    scratch.grad_queries + place + row * width, rows, keys.count, /*adds=*/true},
                   width, rows, tile);
  });
}

// Sums in strips to the rows [count, width] of a gradient.
void unpack(const float* strips, int64_t count, const HeadSizes& sizes, const HeadRows<float>& to) {
  for_strips(count, sizes.tile, [&](int64_t column, int64_t columns, int64_t there) {
    flip({strips + column * sizes.width, columns, to.data + column * to.step, to.step, sizes.width,
          there, /*adds=*/false});
  });
}

template <class Use>
void for_blocks(int64_t size, int64_t block, Use use) {
  for (int64_t first = 0; first < size; first += block) {
    use(Range{first, std::min(block, size - first)});
  }
}

}  // namespace

int64_t attention_backward_scratch(const HeadSizes& sizes) { return Scratch(nullptr, sizes).size; }

void attention_backward_cpu(const AttentionBackward& call, float* memory) {
  const HeadSizes& sizes = call.sizes;
  const Scratch scratch(memory, sizes);
  prepare_queries(call, scratch);
  for_blocks(sizes.keys, kKeys, [&](const Range& keys) {
    prepare_keys(call, keys, scratch);
    for_blocks(sizes.queries, kQueries,
               [&](const Range& queries) { add_gradients(call, queries, keys, scratch); });
    unpack(scratch.grad_keys, keys.count, sizes, rows_from(call.grad_k, keys.first));
    unpack(scratch.grad_values, keys.count, sizes, rows_from(call.grad_v, keys.first));
  });
  for_blocks(sizes.queries, kQueries, [&](const Range& queries) {
    unpack(scratch.grad_queries + queries.first * sizes.width, queries.count, sizes,
           rows_from(call.grad_q, queries.first));
  });
}

}  // namespace sdtune
