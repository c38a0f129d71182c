#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/conv2d_ways.h"
#include "kernels/thin_gemm_cpu.h"
#include "kernels/winograd_cpu.h"

namespace sdtune {

namespace {

// Pixels or kernels below which one more thread costs more than it saves.
constexpr int64_t kGrain = 4096;

// What one thread computes of a matrix at a time.
constexpr int64_t kRowsOfBlock = 192;

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

// Bytes of tiles and products that exist at once: they stay in the last cache, and a picture of any
// size takes no more.
constexpr int64_t kChunkBytes = 24 << 20;

// Calls use(chunk) for all of a batch, in order.
template <class Use>
void for_chunks(const at::Tensor& pictures, int64_t channels, Use use) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t bytes_of_row = 16 * 4 * channels * plane.tiles_right();
  const int64_t step = std::max<int64_t>(1, kChunkBytes / bytes_of_row);
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

// [B, C, H, W] to [16, C, tiles of the chunk], filled up with 0 to a multiple of kThinUnit.
at::Tensor tiles_of(const at::Tensor& pictures, const Chunk& chunk, Transform transform) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t channels = pictures.size(1);
  const int64_t count = (chunk.end - chunk.begin) * plane.tiles_right();
  const int64_t unused = (kThinUnit - count % kThinUnit) % kThinUnit;
  const at::Tensor tiles = sixteen_matrices(channels, count + unused, pictures.options());
  tiles.narrow(2, count, unused).zero_();
  const float* from = pictures.const_data_ptr<float>();
  float* to = tiles.mutable_data_ptr<float>();
  for_pictures(pictures, chunk,
               [&](int64_t picture, const TileRows& rows, int64_t column, const Channels& c) {
                 transform(plane, rows, from + (picture * channels + c.begin) * plane.pixels(),
                           c.end - c.begin, part(to, tiles, c.begin, column));
               });
  return tiles;
}

// [16, C, tiles of the chunk] to `pictures` [B, C, H, W].
void fill_pictures(const at::Tensor& products, const Chunk& chunk, const at::Tensor& pictures) {
  const WinogradPlane plane = plane_of(pictures);
  const int64_t channels = pictures.size(1);
  const float* from = products.const_data_ptr<float>();
  float* to = pictures.mutable_data_ptr<float>();
  for_pictures(pictures, chunk,
               [&](int64_t picture, const TileRows& rows, int64_t column, const Channels& c) {
                 winograd_pictures(plane, rows, part(from, products, c.begin, column),
                                   c.end - c.begin,
                                   to + (picture * channels + c.begin) * plane.pixels());
               });
}

// kernels [16, rows, C], in any order, times tiles [16, C, T].
at::Tensor products_of(const at::Tensor& kernels, const at::Tensor& tiles) {
  const int64_t rows = kernels.size(1), depth = kernels.size(2), columns = tiles.size(2);
  const at::Tensor products = sixteen_matrices(rows, columns, tiles.options());
  const float* a = kernels.const_data_ptr<float>();
  const float* b = tiles.const_data_ptr<float>();
  float* c = products.mutable_data_ptr<float>();
  const int64_t blocks = (rows + kRowsOfBlock - 1) / kRowsOfBlock;
  at::parallel_for(0, 16 * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t matrix = i / blocks, row = i % blocks * kRowsOfBlock;
      thin_gemm({a + matrix * kernels.stride(0) + row * kernels.stride(1),
                 b + matrix * tiles.stride(0), c + matrix * products.stride(0) + row * columns,
                 kernels.stride(1), kernels.stride(2), columns, columns,
                 std::min(kRowsOfBlock, rows - row), columns, depth});
    }
  });
  return products;
}

// kernels [16, rows, C] over pictures [B, C, H, W], to [B, rows, H, W].
at::Tensor convolved(const at::Tensor& kernels, const at::Tensor& pictures) {
  const at::Tensor result = at::empty(
      {pictures.size(0), kernels.size(1), pictures.size(2), pictures.size(3)}, pictures.options());
  for_chunks(pictures, kernels.size(1) + kernels.size(2), [&](const Chunk& chunk) {
    fill_pictures(products_of(kernels, tiles_of(pictures, chunk, winograd_tiles)), chunk, result);
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

at::Tensor conv2d_by_winograd(const Conv2dCall& call) {
  const at::Tensor result = convolved(kernels_of(call.weight, /*flipped=*/false), call.x);
  if (call.bias.defined()) result.add_(call.bias.view({1, -1, 1, 1}));
  return result;
}

at::Tensor conv2d_input_gradient_by_winograd(const Conv2dBackward& call) {
  return convolved(kernels_of(call.weight, /*flipped=*/true).transpose(1, 2), call.grad);
}

at::Tensor conv2d_weight_gradient_by_winograd(const Conv2dBackward& call) {
  const int64_t out = call.weight.size(0), in = call.weight.size(1);
  const at::Tensor sums = sixteen_matrices(out, in, call.x.options());
  for_chunks(call.x, in + out, [&](const Chunk& chunk) {
    const at::Tensor grads = tiles_of(call.grad, chunk, winograd_gradient_tiles);
    const at::Tensor tiles = tiles_of(call.x, chunk, winograd_tiles).transpose(1, 2);
    sums.baddbmm_(grads, tiles, /*beta=*/chunk.begin == 0 ? 0 : 1);
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
