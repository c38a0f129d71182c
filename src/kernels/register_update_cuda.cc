// Registers the CUDA kernels of a step's end with torch's dispatcher when libsdtune_cuda.so is
// opened: AdamW and the sum of squares. The operators are declared in the program itself
// (adamw_device.cc, square_sum.cc).
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "kernels/adamw_cuda.h"
#include "kernels/square_sum_cuda.h"

namespace sdtune {

namespace {

void check_lists(const at::Tensor& weight, std::initializer_list<at::Tensor> others) {
  TORCH_CHECK(weight.is_non_overlapping_and_dense() && weight.scalar_type() == at::kFloat,
              "AdamW's weights are dense and fp32, not ", weight.scalar_type());
  for (const at::Tensor& other : others) {
    TORCH_CHECK(other.scalar_type() == at::kFloat && other.device() == weight.device(),
                "AdamW's tensors are fp32 on one device, not ", other.scalar_type(), " on ",
                other.device());
    TORCH_CHECK(other.sizes() == weight.sizes() && other.strides() == weight.strides(),
                "AdamW's tensors are laid out alike, not as ", other.sizes(), " beside ",
                weight.sizes());
  }
}

void check_number(const at::Tensor& number, const at::Device& device) {
  TORCH_CHECK(
      number.scalar_type() == at::kFloat && number.numel() == 1 && number.device() == device,
      "AdamW's times and scales are single fp32 numbers on the weights' device");
}

// As adamw_'s numbers are packed in adamw_device.cc.
AdamWRule rule_of(at::ArrayRef<double> n, bool decoupled) {
  TORCH_CHECK(n.size() == 6, "sdtune::adamw_ takes other numbers");
  return {n[0], n[1], n[2], n[3], n[4], decoupled, n[5]};
}

void adamw_on_cuda(at::TensorList weights, at::TensorList gradients, at::TensorList exp_avg,
                   at::TensorList exp_avg_sq, at::TensorList max_exp_avg_sq, at::TensorList times,
                   const std::optional<at::Tensor>& scale, at::ArrayRef<double> numbers,
                   bool decoupled) {
  const size_t size = weights.size();
  const bool amsgrad = !max_exp_avg_sq.empty();
  TORCH_CHECK(size > 0 && gradients.size() == size && exp_avg.size() == size &&
                  exp_avg_sq.size() == size && times.size() == size &&
                  (!amsgrad || max_exp_avg_sq.size() == size),
              "AdamW's lists are of one length");
  const at::Device device = weights[0].device();
  const c10::cuda::CUDAGuard guard(device);
  const at::Tensor scratch = at::empty({static_cast<int64_t>(size * sizeof(AdamWCorrections))},
                                       at::TensorOptions(at::kByte).device(device));
  auto* corrections = static_cast<AdamWCorrections*>(scratch.mutable_data_ptr());
  std::vector<AdamWRow> rows;
  for (size_t i = 0; i < size; ++i) {
    check_lists(weights[i], {gradients[i], exp_avg[i], exp_avg_sq[i]});
    if (amsgrad) check_lists(weights[i], {max_exp_avg_sq[i]});
    TORCH_CHECK(weights[i].device() == device, "AdamW's tensors are on one device");
    check_number(times[i], device);
    rows.push_back({weights[i].mutable_data_ptr<float>(), gradients[i].const_data_ptr<float>(),
                    exp_avg[i].mutable_data_ptr<float>(), exp_avg_sq[i].mutable_data_ptr<float>(),
                    amsgrad ? max_exp_avg_sq[i].mutable_data_ptr<float>() : nullptr,
                    times[i].mutable_data_ptr<float>(), corrections + i, weights[i].numel()});
  }
  if (scale) check_number(*scale, device);
  C10_CUDA_CHECK(launch_adamw(
      {rows.data(), static_cast<int64_t>(size), adamw_numbers(rule_of(numbers, decoupled)),
       scale ? scale->const_data_ptr<float>() : nullptr},
      c10::cuda::getCurrentCUDAStream()));
}

// The types in the order in which they are summed, so that the order of equal runs is equal.
struct SummedType {
  at::ScalarType type;
  CudaElement element;
};
constexpr SummedType kSummedTypes[] = {{at::kFloat, CudaElement::kFloat},
                                       {at::kBFloat16, CudaElement::kBFloat16},
                                       {at::kHalf, CudaElement::kHalf}};

std::vector<SquareSumRow> rows_of(const std::vector<at::Tensor>& tensors, at::ScalarType type) {
  std::vector<SquareSumRow> rows;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.scalar_type() == type) rows.push_back({tensor.const_data_ptr(), tensor.numel()});
  }
  return rows;
}

at::Tensor square_sum_on_cuda(at::TensorList tensors) {
  TORCH_CHECK(!tensors.empty(), "sdtune::square_sum takes the device of its first tensor");
  const at::Device device = tensors[0].device();
  const c10::cuda::CUDAGuard guard(device);
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  std::vector<at::Tensor> dense;
  for (const at::Tensor& tensor : tensors) {
    TORCH_CHECK(tensor.device() == device, "sdtune::square_sum takes tensors of one device");
    dense.push_back(tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous());
  }
  std::vector<std::vector<SquareSumRow>> rows;
  std::vector<SquareSumLaunch> launches;
  int64_t parts = 0;
  for (const auto& [type, element] : kSummedTypes) {
    rows.push_back(rows_of(dense, type));
    launches.push_back({element, rows.back().data(), std::ssize(rows.back())});
    parts += square_sum_parts(launches.back());
  }
  const auto options = at::TensorOptions(at::kDouble).device(device);
  const at::Tensor sums = at::empty({parts}, options);
  at::Tensor out = at::empty({}, options);
  auto* to = sums.mutable_data_ptr<double>();
  for (const SquareSumLaunch& launch : launches) {
    C10_CUDA_CHECK(launch_square_sums(launch, to, stream));
    to += square_sum_parts(launch);
  }
  C10_CUDA_CHECK(
      launch_sum(sums.const_data_ptr<double>(), parts, out.mutable_data_ptr<double>(), stream));
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(sdtune, CUDA, m) {
  m.impl("adamw_", adamw_on_cuda);
  m.impl("square_sum", square_sum_on_cuda);
}

}  // namespace sdtune
