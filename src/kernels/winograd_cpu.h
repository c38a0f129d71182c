// The CPU's loops of Winograd's convolution F(2x2, 3x3): 2x2 pixels of the result out of 4x4 of the
// input by 16 multiplications where the plain way takes 36. Source: Lavin & Gray, "Fast algorithms
// for convolutional neural networks", 2015, section 4.1, whose B, G and A are used here. Pointers
// and sizes, no torch; not threaded: conv2d_winograd.cc splits the channels.
//
// Everything that stands between the transforms is 16 matrices, one for each place in a 4x4 tile.
#pragma once

#include <cstdint>

namespace sdtune {

// Pictures of one channel, cut into tiles of 2x2 pixels; an odd size leaves part of the last
// unused.
struct WinogradPlane {
  int64_t height, width;

  int64_t tiles_down() const { return (height + 1) / 2; }
  int64_t tiles_right() const { return (width + 1) / 2; }
  int64_t tiles() const { return tiles_down() * tiles_right(); }
  int64_t pixels() const { return height * width; }
};

// Of one picture; only these rows of tiles are read or written.
struct TileRows {
  int64_t begin, end;
};

// Where 16 matrices begin, and how far apart the rows and the matrices stand, in elements.
template <class T>
struct SixteenMatrices {
  T* data;
  int64_t row_size, matrix_size;
};

// Pictures [channels, H, W], padded by one pixel of 0 on all sides, to 4x4 tiles: B'dB. A row of a
// matrix is a channel, a column a tile.
void winograd_tiles(const WinogradPlane& plane, const TileRows& rows, const float* pictures,
                    int64_t channels, const SixteenMatrices<float>& tiles);

// Products of tiles to pictures [channels, H, W]: A'mA, and `bias` [channels], or null, added.
void winograd_pictures(const WinogradPlane& plane, const TileRows& rows,
                       const SixteenMatrices<const float>& products, int64_t channels,
                       float* pictures, const float* bias);

// The transpose of winograd_pictures, for gradients of the result: AyA'.
void winograd_gradient_tiles(const WinogradPlane& plane, const TileRows& rows,
                             const float* pictures, int64_t channels,
                             const SixteenMatrices<float>& tiles);

// Kernels [count, 3, 3] to one row of each of the 16 matrices: GgG'. `flipped` turns each kernel by
// half a turn, as the gradient of the input needs it.
void winograd_kernels(const float* kernels, int64_t count, bool flipped,
                      const SixteenMatrices<float>& row);

// The transpose of winograd_kernels, for gradients of the kernels: G'uG.
void winograd_kernel_gradients(const SixteenMatrices<const float>& row, int64_t count,
                               float* kernels);

}  // namespace sdtune
