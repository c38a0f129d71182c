#include "kernels/conv2d_ways.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/conv2d_cpu.h"
#include "kernels/gemm.h"

namespace sdtune {

namespace {

// Elements of columns below which one more thread costs more than it saves.
constexpr int64_t kGrain = 32768;

Conv2dPlane plane_of(const at::Tensor& x, int64_t kernel, int64_t stride, int64_t padding) {
  const int64_t height = x.size(2), width = x.size(3);
  const auto out = [&](int64_t size) { return (size + 2 * padding - kernel) / stride + 1; };
  return {height, width, out(height), out(width), kernel, stride, padding};
}

// A kernel of one tap with neither stride nor padding sees the picture itself.
bool sees_the_picture(const Conv2dPlane& plane) {
  return plane.kernel == 1 && plane.stride == 1 && plane.padding == 0;
}

// Calls use(picture, first_channel, last_channel) from several threads.
template <class Use>
void for_channels(const at::Tensor& x, const Conv2dPlane& plane, Use use) {
  const int64_t channels = x.size(1);
  const int64_t grain = std::max<int64_t>(1, kGrain / (plane.taps() * plane.out_pixels()));
  at::parallel_for(0, channels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t picture = 0; picture < x.size(0); ++picture) use(picture, begin, end);
  });
}

template <class T>
void fill_columns(const at::Tensor& x, const Conv2dPlane& plane, at::Tensor& columns) {
  const int64_t channels = x.size(1), row_size = columns.size(1);
  const T* pictures = static_cast<const T*>(x.const_data_ptr());
  T* to = static_cast<T*>(columns.mutable_data_ptr());
  for_channels(x, plane, [&](int64_t picture, int64_t begin, int64_t end) {
    gather_columns(plane, pictures + (picture * channels + begin) * plane.pixels(), end - begin,
                   to + begin * plane.taps() * row_size + picture * plane.out_pixels(), row_size);
  });
}

// [in·k², B·H'·W'].
at::Tensor columns_of(const at::Tensor& x, const Conv2dPlane& plane) {
  if (sees_the_picture(plane)) return x.transpose(0, 1).reshape({x.size(1), -1});
  at::Tensor columns =
      at::empty({x.size(1) * plane.taps(), x.size(0) * plane.out_pixels()}, x.options());
  if (x.scalar_type() == at::kFloat) {
    fill_columns<float>(x, plane, columns);
  } else {
    fill_columns<BFloat16Bits>(x, plane, columns);
  }
  return columns;
}

template <class T>
void fill_pictures(const at::Tensor& columns, const Conv2dPlane& plane, at::Tensor& x) {
  const int64_t channels = x.size(1), row_size = columns.size(1);
  const T* from = static_cast<const T*>(columns.const_data_ptr());
  T* pictures = static_cast<T*>(x.mutable_data_ptr());
  for_channels(x, plane, [&](int64_t picture, int64_t begin, int64_t end) {
    sum_columns(plane, from + begin * plane.taps() * row_size + picture * plane.out_pixels(),
                row_size, pictures + (picture * channels + begin) * plane.pixels(), end - begin);
  });
}

// [rows, B·pixels] to [B, rows, height, width], without a copy for one picture.
at::Tensor pictures_of(const at::Tensor& rows, at::IntArrayRef shape) {
  return rows.view({shape[1], shape[0], shape[2], shape[3]}).transpose(0, 1).contiguous();
}

// [B, rows, height, width] to [rows, B·pixels].
at::Tensor rows_of(const at::Tensor& pictures) {
  return pictures.transpose(0, 1).reshape({pictures.size(1), -1});
}

// Numbers of the result's pixels up to which weights are read as they lie, row by row, and the
// product is written transposed.
constexpr int64_t kFewColumns = 96;

// weight' · grad: [out, in·k²] and [out, P] -> [in·k², P].
at::Tensor gradient_columns(const at::Tensor& weight, const at::Tensor& grad) {
  const int64_t rows = weight.size(1), columns = grad.size(1);
  if (weight.scalar_type() != at::kFloat || !gemm_is_fast()) return at::mm(weight.t(), grad);
  if (columns > kFewColumns) return gemm(weight.t(), grad);
  const at::Tensor result = at::empty({rows, columns}, weight.options());
  gemm({strided(grad.t()),
        strided(weight),
        {result.mutable_data_ptr<float>(), 1, columns},
        columns,
        rows,
        weight.size(0)});
  return result;
}

// a·b, and `bias` [rows], which may be undefined, added to each column.
at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {}) {
  if (a.scalar_type() == at::kFloat && gemm_is_fast()) return gemm(a, b, bias);
  return bias.defined() ? at::addmm(bias.unsqueeze(1), a, b) : at::mm(a, b);
}

}  // namespace

at::Tensor conv2d_by_columns(const Conv2dCall& call) {
  const at::Tensor weight = call.weight.flatten(1);
  const Conv2dPlane plane = plane_of(call.x, call.weight.size(2), call.stride, call.padding);
  const at::Tensor rows = product(weight, columns_of(call.x, plane), call.bias);
  return pictures_of(rows, {call.x.size(0), weight.size(0), plane.out_height, plane.out_width});
}

at::Tensor conv2d_input_gradient_by_columns(const Conv2dBackward& call) {
  const Conv2dPlane plane = plane_of(call.x, call.weight.size(2), call.stride, call.padding);
  const at::Tensor columns = gradient_columns(call.weight.flatten(1), rows_of(call.grad));
  if (sees_the_picture(plane)) return pictures_of(columns, call.x.sizes());
  at::Tensor result = at::empty(call.x.sizes(), call.x.options());
  if (result.scalar_type() == at::kFloat) {
    fill_pictures<float>(columns, plane, result);
  } else {
    fill_pictures<BFloat16Bits>(columns, plane, result);
  }
  return result;
}

at::Tensor conv2d_weight_gradient_by_columns(const Conv2dBackward& call) {
  const Conv2dPlane plane = plane_of(call.x, call.weight.size(2), call.stride, call.padding);
  return product(rows_of(call.grad), columns_of(call.x, plane).t()).view(call.weight.sizes());
}

}  // namespace sdtune
