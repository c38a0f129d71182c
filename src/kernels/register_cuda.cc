// Registers the CUDA kernels with torch's dispatcher when libsdtune_cuda.so is opened. The
// operators' contracts and gradients are in the program itself (geglu.cc, stochastic_round.cc).
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "kernels/cuda_element_of.h"
#include "kernels/geglu_cuda.h"
#include "kernels/stochastic_round_cuda.h"

namespace sdtune {

namespace {

void check_input(const at::Tensor& x) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) % 2 == 0, "sdtune::geglu halves the last dimension, and ",
              x.sizes(), " has no even one");
}

at::Tensor geglu_on_cuda(const at::Tensor& x) {
  check_input(x);
  const CudaElement element = cuda_element_of(x);
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor dense = x.contiguous();
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() /= 2;
  at::Tensor out = at::empty(sizes, x.options().memory_format(at::MemoryFormat::Contiguous));
  if (out.numel() == 0) return out;
  const int64_t d = sizes.back();
  C10_CUDA_CHECK(launch_geglu_forward(
      {element, dense.const_data_ptr(), out.mutable_data_ptr(), out.numel() / d, d},
      c10::cuda::getCurrentCUDAStream()));
  return out;
}

at::Tensor geglu_backward_on_cuda(const at::Tensor& grad, const at::Tensor& x) {
  check_input(x);
  const CudaElement element = cuda_element_of(x);
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor dense_grad = grad.to(x.scalar_type()).contiguous();
  const at::Tensor dense = x.contiguous();
  at::Tensor grad_x = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
  if (grad_x.numel() == 0) return grad_x;
  const int64_t d = x.size(-1) / 2;
  C10_CUDA_CHECK(
      launch_geglu_backward({element, dense_grad.const_data_ptr(), dense.const_data_ptr(),
                             grad_x.mutable_data_ptr(), x.numel() / (2 * d), d},
                            c10::cuda::getCurrentCUDAStream()));
  return grad_x;
}

// Both tensors are dense with the same strides.
void stochastic_round_on_cuda(const at::Tensor& out, const at::Tensor& value, int64_t key) {
  const c10::cuda::CUDAGuard guard(value.device());
  C10_CUDA_CHECK(launch_stochastic_round(value.const_data_ptr<float>(), out.mutable_data_ptr(),
                                         value.numel(), static_cast<uint64_t>(key),
                                         c10::cuda::getCurrentCUDAStream()));
}

}  // namespace

TORCH_LIBRARY_IMPL(sdtune, CUDA, m) {
  m.impl("geglu", geglu_on_cuda);
  m.impl("geglu_backward", geglu_backward_on_cuda);
  m.impl("stochastic_round_", stochastic_round_on_cuda);
}

}  // namespace sdtune
