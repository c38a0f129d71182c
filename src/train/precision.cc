#include "train/precision.h"

#include "base/log.h"
#include "base/system.h"

namespace sdtune {

namespace {

at::ScalarType compute_type(MixedPrecision mixed_precision, at::Device device) {
  switch (mixed_precision) {
    case MixedPrecision::kBf16:
      if (device.is_cuda() || processor_computes_bf16()) return at::kBFloat16;
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

Precision choose_precision(const PrecisionOptions& options, at::Device device) {
  Precision precision;
  precision.compute = compute_type(options.mixed_precision, device);
  if (options.full_fp16) precision.weights = at::kHalf;
  if (options.full_bf16) precision.weights = at::kBFloat16;
  precision.vae = options.no_half_vae ? at::kFloat : precision.compute;
  precision.scale_loss = precision.compute == at::kHalf || precision.weights == at::kHalf;
  return precision;
}

}  // namespace sdtune
