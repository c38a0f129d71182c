// Registers the CUDA kernels of 8-bit states with torch's dispatcher when libsdtune_cuda.so is
// opened. The operators are declared in the program itself (optimizer_8bit.cc).
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "kernels/optimizer_8bit_call.h"
#include "kernels/optimizer_8bit_cuda.h"

namespace sdtune {

namespace {

std::tuple<at::Tensor, at::Tensor> quantize_on_cuda(const at::Tensor& x, bool is_signed) {
  check_fp32_8bit(x);
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor dense = x.contiguous();
  auto [codes, absmax] = empty_8bit(x);
  if (x.numel() > 0) {
    C10_CUDA_CHECK(launch_quantize_8bit(dense.const_data_ptr<float>(), x.numel(), is_signed,
                                        pointers_8bit(codes, absmax),
                                        c10::cuda::getCurrentCUDAStream()));
  }
  return {codes, absmax};
}

at::Tensor dequantize_on_cuda(const at::Tensor& codes, const at::Tensor& absmax, bool is_signed) {
  check_state_8bit(codes, absmax);
  const c10::cuda::CUDAGuard guard(codes.device());
  at::Tensor out = at::empty(codes.sizes(), codes.options().dtype(at::kFloat));
  if (out.numel() > 0) {
    C10_CUDA_CHECK(launch_dequantize_8bit(pointers_8bit(codes, absmax), out.numel(), is_signed,
                                          out.mutable_data_ptr<float>(),
                                          c10::cuda::getCurrentCUDAStream()));
  }
  return out;
}

void update_on_cuda(at::Tensor& weight, const at::Tensor& grad, at::TensorList states, int64_t rule,
                    at::ArrayRef<double> numbers, int64_t key,
                    const std::optional<at::Tensor>& scale) {
  const c10::cuda::CUDAGuard guard(weight.device());
  const auto run = [](const Update8bitJob& job) {
    C10_CUDA_CHECK(launch_update_8bit(job, c10::cuda::getCurrentCUDAStream()));
  };
  update_in_place_8bit(weight, grad, states, unpacked_8bit(rule, numbers, key), scale, run);
}

}  // namespace

TORCH_LIBRARY_IMPL(sdtune, CUDA, m) {
  m.impl("quantize_8bit", quantize_on_cuda);
  m.impl("dequantize_8bit", dequantize_on_cuda);
  m.impl("update_8bit_", update_on_cuda);
}

}  // namespace sdtune
