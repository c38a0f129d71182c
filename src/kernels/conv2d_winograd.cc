#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/conv2d_ways.h"
#include "kernels/gemm_cpu.h"
#include "kernels/winograd_cpu.h"

namespace sdtune {

namespace {

// Pixels or kernels below which one more thread costs more than it saves.
constexpr int64_t kGrain = 4096;

// What one thread computes of a matrix at a time: a divisor of the models' channels.
constexpr int64_t kRowsOfBlock = 320;

WinogradPlane plane_of(const at::Tensor& pictures) { return {pictures.size(2), pictures.size(3)}; }

// [16, rows, columns] with a gap of 64 bytes between the matrices: sizes are such that without it
// the same place in all of them would fall into the same few lines of the first cache, and writing
// to all in turn takes three times as long.
at::Tensor sixteen_matrices(int64_t rows, int64_t columns, const at::TensorOptions& options) {
  const int64_t size = rows * columns + 16;
  return at::empty({16, size}, options).as_strided({16, rows, columns}, {size, columns, 1});
}

// The rows of 16 matrices [16, rows, columns] from `row` on, from column `column` on.
template <class T>
SixteenMatrices<T> part(T* data, const at::Tensor& matrices, int64_t row, int64_t column) {
  const int64_t row_size = matrices.stride(1);
  return {data + row * row_size + column, row_size, matrices.stride(0)};
}

// Rows of tiles of a batch, counted on from picture to picture.
struct Chunk {
  int64_t begin, end;
};

struct Channels {
  int64_t begin, end;
};

// Bytes of tiles and products that exist at once: as many as the kernels have that each chunk meets
// anew, but no fewer than the second caches hold and no more than the last one. So a picture of any
// size takes no more.
constexpr int64_t kLeastChunk = 4 << 20, kLargestChunk = 24 << 20;

// Calls use(chunk) for all of a batch, in order.
template <class Use>
void for_chunks(const at::Tensor& pictures, int64_t in, int64_t out, Use use) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t step = winograd_rows_at_once(in, out, plane.tiles_right());
  const int64_t rows = pictures.size(0) * plane.tiles_down();
  for (int64_t begin = 0; begin < rows; begin += step) {
    use(Chunk{begin, std::min(rows, begin + step)});
  }
}

// Calls use(picture, its rows, first column of tiles, first_channel, last_channel) for each picture
// of a chunk, from several threads.
template <class Use>
void for_pictures(const at::Tensor& pictures, const Chunk& chunk, Use use) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t down = plane.tiles_down(), right = plane.tiles_right();
  const int64_t grain = std::max<int64_t>(1, kGrain / ((chunk.end - chunk.begin) * right));
  at::parallel_for(0, pictures.size(1), grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = chunk.begin; row < chunk.end; row = (row / down + 1) * down) {
      const int64_t picture = row / down, top = picture * down;
      const TileRows rows = {row - top, std::min(chunk.end - top, down)};
      use(picture, rows, (row - chunk.begin) * right, Channels{begin, end});
    }
  });
}

using Transform = void (*)(const WinogradPlane&, const TileRows&, const float*, int64_t,
                           const SixteenMatrices<float>&);

// [B, C, H, W] to [16, C, tiles of the chunk].
at::Tensor tiles_of(const at::Tensor& pictures, const Chunk& chunk, Transform transform) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t channels = pictures.size(1);
  const int64_t count = (chunk.end - chunk.begin) * plane.tiles_right();
  const at::Tensor tiles = sixteen_matrices(channels, count, pictures.options());
  const float* from = pictures.const_data_ptr<float>();
  float* to = tiles.mutable_data_ptr<float>();
  for_pictures(pictures, chunk,
               [&](int64_t picture, const TileRows& rows, int64_t column, const Channels& c) {
                 transform(plane, rows, from + (picture * channels + c.begin) * plane.pixels(),
                           c.end - c.begin, part(to, tiles, c.begin, column));
               });
  return tiles;
}

// [16, C, tiles of the chunk] to `pictures` [B, C, H, W], with `bias` [C] or null added.
void fill_pictures(const at::Tensor& products, const Chunk& chunk, const at::Tensor& pictures,
                   const float* bias) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t channels = pictures.size(1);
  const float* from = products.const_data_ptr<float>();
  float* to = pictures.mutable_data_ptr<float>();
  for_pictures(pictures, chunk,
               [&](int64_t picture, const TileRows& rows, int64_t column, const Channels& c) {
                 winograd_pictures(plane, rows, part(from, products, c.begin, column),
                                   c.end - c.begin,
                                   to + (picture * channels + c.begin) * plane.pixels(),
                                   bias == nullptr ? nullptr : bias + c.begin);
               });
}

// The rows of c = a·b, or c + a·b, for each of 16 matrices in any order: a [16, rows, depth],
// b [16, depth, columns], c [16, rows, columns].
void multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, bool adds) {
  const auto matrix = [](const at::Tensor& all, int64_t i) {
    return StridedMatrix<const float>{all.const_data_ptr<float>() + i * all.stride(0),
                                      all.stride(1), all.stride(2)};
  };
  const int64_t rows = c.size(1), blocks = (rows + kRowsOfBlock - 1) / kRowsOfBlock;
  at::parallel_for(0, 16 * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i % blocks * kRowsOfBlock;
      GemmCall call = {matrix(a, i / blocks),
                       matrix(b, i / blocks),
                       {c.mutable_data_ptr<float>() + i / blocks * c.stride(0), c.stride(1), 1},
                       std::min(kRowsOfBlock, rows - row),
                       c.size(2),
                       b.size(1)};
      call.a.data += row * call.a.row_step;
      call.c.data += row * call.c.row_step;
      call.adds = adds;
      gemm_cpu(call);
    }
  });
}

// kernels [16, rows, C] over pictures [B, C, H, W], to [B, rows, H, W], with `bias` [rows], which
// may be undefined, added.
at::Tensor convolved(const at::Tensor& kernels, const at::Tensor& pictures,
                     const at::Tensor& bias) {
  const at::Tensor result = at::empty(
      {pictures.size(0), kernels.size(1), pictures.size(2), pictures.size(3)}, pictures.options());
  const float* values = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  for_chunks(pictures, kernels.size(2), kernels.size(1), [&](const Chunk& chunk) {
    const at::Tensor tiles = tiles_of(pictures, chunk, winograd_tiles);
    const at::Tensor products =
        sixteen_matrices(kernels.size(1), tiles.size(2), pictures.options());
    multiply(kernels, tiles, products, /*adds=*/false);
    fill_pictures(products, chunk, result, values);
  });
  return result;
}

// [out, in, 3, 3] to [16, out, in].
at::Tensor kernels_of(const at::Tensor& weight, bool flipped) {
  const int64_t in = weight.size(1);
  const at::Tensor kernels = sixteen_matrices(weight.size(0), in, weight.options());
  const float* from = weight.const_data_ptr<float>();
  float* to = kernels.mutable_data_ptr<float>();
  at::parallel_for(
      0, weight.size(0), std::max<int64_t>(1, kGrain / in), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          winograd_kernels(from + row * in * 9, in, flipped, part(to, kernels, row, 0));
        }
      });
  return kernels;
}

}  // namespace

int64_t winograd_rows_at_once(int64_t in, int64_t out, int64_t tiles_right) {
  constexpr int64_t kBytes = 16 * sizeof(float);
  const int64_t bytes = std::clamp<int64_t>(kBytes * in * out, kLeastChunk, kLargestChunk);
  return std::max<int64_t>(1, bytes / (kBytes * (in + out) * tiles_right));
}

at::Tensor conv2d_by_winograd(const Conv2dCall& call) {
  const at::Tensor bias = call.bias.defined() ? call.bias.contiguous() : call.bias;
  return convolved(kernels_of(call.weight, /*flipped=*/false), call.x, bias);
}

at::Tensor conv2d_input_gradient_by_winograd(const Conv2dBackward& call) {
  return convolved(kernels_of(call.weight, /*flipped=*/true).transpose(1, 2), call.grad, {});
}

at::Tensor conv2d_weight_gradient_by_winograd(const Conv2dBackward& call) {
  const int64_t out = call.weight.size(0), in = call.weight.size(1);
  const at::Tensor sums = sixteen_matrices(out, in, call.x.options());
  for_chunks(call.x, in, out, [&](const Chunk& chunk) {
    const at::Tensor grads = tiles_of(call.grad, chunk, winograd_gradient_tiles);
    const at::Tensor tiles = tiles_of(call.x, chunk, winograd_tiles).transpose(1, 2);
    multiply(grads, tiles, sums, /*adds=*/chunk.begin > 0);
  });
  const at::Tensor result = at::empty(call.weight.sizes(), call.weight.options());
  const float* from = sums.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  at::parallel_for(0, out, std::max<int64_t>(1, kGrain / in), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      winograd_kernel_gradients(part(from, sums, row, 0), in, to + row * in * 9);
    }
  });
  return result;
}

}  // namespace sdtune
