#include "train/precision.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "base/log.h"
#include "base/system.h"

namespace sdtune {

namespace {

at::ScalarType compute_type(MixedPrecision mixed_precision, at::Device device, bool computes_bf16,
                            const std::string& bf16_option) {
  switch (mixed_precision) {
    case MixedPrecision::kBf16:
      if (computes_bf16) return at::kBFloat16;
      if (device.is_cuda()) {
        throw UsageError("this GPU has no instructions for bf16, which came with Ampere",
                         bf16_option, "take fp16 in its place, or compute in fp32");
      }
      log_warning(
          "this processor has no instructions for bf16, in which fp32 is twice as fast: "
          "the arithmetic is fp32");
      break;
    case MixedPrecision::kFp16:
      if (device.is_cuda()) return at::kHalf;
      log_warning("fp16 computes in fp32 on a CPU; bf16 is there for newer processors");
      break;
    case MixedPrecision::kNo:
      break;
  }
  return at::kFloat;
}

}  // namespace

bool computes_bf16(at::Device device) {
  if (!device.is_cuda()) return processor_computes_bf16();
  // Of the current device; torch's name for compute capability 8 and above.
  const auto current_does = [] {
    return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
  };
  if (!device.has_index()) return current_does();
  const c10::DeviceGuard guard(device);
  return current_does();
}

Precision choose_precision(const PrecisionOptions& options, at::Device device, bool computes_bf16,
                           const std::string& bf16_option) {
  Precision precision;
  precision.compute = compute_type(options.mixed_precision, device, computes_bf16, bf16_option);
  if (options.full_fp16) precision.weights = at::kHalf;
  if (options.full_bf16) precision.weights = at::kBFloat16;
  precision.vae = options.no_half_vae ? at::kFloat : precision.compute;
  precision.scale_loss = precision.compute == at::kHalf || precision.weights == at::kHalf;
  return precision;
}

}  // namespace sdtune
