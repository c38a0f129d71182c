#include <algorithm>

#include "kernels/conv2d.h"
#include "kernels/conv2d_ways.h"
#include "kernels/winograd_cpu.h"

namespace sdtune {

namespace {

// [in·k², pixels of the result], which a kernel of one tap reads from the pictures themselves.
int64_t columns_of(const Conv2dSizes& sizes) {
  const bool sees_the_picture = sizes.kernel == 1 && sizes.stride == 1 && sizes.padding == 0;
  if (sees_the_picture && sizes.batch == 1) return 0;
  return sizes.in * sizes.kernel * sizes.kernel * sizes.result_pixels();
}

// The result of all pictures in rows of channels, which is the result itself for one.
int64_t rows_of(const Conv2dSizes& sizes) {
  return sizes.batch == 1 ? 0 : sizes.out * sizes.result_pixels();
}

int64_t of_winograd(const Conv2dSizes& sizes) {
  const WinogradPlane plane = {sizes.height, sizes.width};
  const int64_t rows = std::min(sizes.batch * plane.tiles_down(),
                                winograd_rows_at_once(sizes.in, sizes.out, plane.tiles_right()));
  return 16 * (sizes.in * sizes.out + (sizes.in + sizes.out) * rows * plane.tiles_right());
}

}  // namespace

int64_t conv2d_workspace(const Conv2dSizes& sizes, const Conv2dWays& ways) {
  int64_t most = 0;
  for (const Conv2dWay way : {ways.result, ways.input_gradient, ways.weight_gradient}) {
    if (way == Conv2dWay::kColumns) most = std::max(most, columns_of(sizes) + rows_of(sizes));
    if (way == Conv2dWay::kWinograd) most = std::max(most, of_winograd(sizes));
  }
  return most;
}

}  // namespace sdtune
