#include "kernels/square_sum.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <algorithm>
#include <numeric>

#include "kernels/square_sum_cpu.h"
#include "kernels/tensor_chunks.h"

namespace sdtune {

namespace {

bool takes_on(const at::Device& device, const std::vector<at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const at::Tensor& tensor) {
    const auto type = tensor.scalar_type();
    return tensor.device() == device && tensor.layout() == at::kStrided &&
           (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf);
  });
}

template <class T>
double sum_of(const at::Tensor& tensor, const TensorChunk& chunk) {
  return square_sum_cpu(static_cast<const T*>(tensor.const_data_ptr()) + chunk.first, chunk.count);
}

double sum_of(const at::Tensor& tensor, const TensorChunk& chunk) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return sum_of<float>(tensor, chunk);
    case at::kBFloat16:
      return sum_of<BFloat16Bits>(tensor, chunk);
    default:
      return sum_of<HalfBits>(tensor, chunk);
  }
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(sdtune, m) { m.def("square_sum(Tensor[] tensors) -> Tensor"); }

bool takes_square_sum(const std::vector<at::Tensor>& tensors) {
  return takes_on(at::kCPU, tensors);
}

double square_sum(const std::vector<at::Tensor>& tensors) {
  TORCH_CHECK(takes_square_sum(tensors), "sums of squares are of fp32, bf16 or fp16 on the CPU");
  std::vector<at::Tensor> dense;
  std::vector<int64_t> sizes;
  for (const at::Tensor& tensor : tensors) {
    dense.push_back(tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous());
    sizes.push_back(tensor.numel());
  }
  const std::vector<TensorChunk> chunks = tensor_chunks(sizes);
  std::vector<double> sums(chunks.size());
  at::parallel_for(0, std::ssize(chunks), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sums[i] = sum_of(dense[chunks[i].tensor], chunks[i]);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

bool takes_square_sum_on_device(const std::vector<at::Tensor>& tensors) {
  return !tensors.empty() && tensors[0].device().is_cuda() &&
         takes_on(tensors[0].device(), tensors);
}

at::Tensor square_sum_on_device(const std::vector<at::Tensor>& tensors) {
  static const auto sum = c10::Dispatcher::singleton()
                              .findSchemaOrThrow("sdtune::square_sum", "")
                              .typed<at::Tensor(at::TensorList)>();
  return sum.call(tensors);
}

}  // namespace sdtune
