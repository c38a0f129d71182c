#include "train/precision.h"

#include "base/error.h"
#include "base/log.h"
#include "base/system.h"

namespace sdtune {

namespace {

void check(const PrecisionOptions& options) {
  if (options.full_fp16 && options.mixed_precision != MixedPrecision::kFp16) {
    throw UsageError("weights of fp16 are computed with in fp16", "--full_fp16",
                     "add --mixed_precision=fp16");
  }
  if (options.full_bf16 && options.mixed_precision != MixedPrecision::kBf16) {
    throw UsageError("weights of bf16 are computed with in bf16", "--full_bf16",
                     "add --mixed_precision=bf16");
  }
}

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
  check(options);
  Precision precision;
  precision.compute = compute_type(options.mixed_precision, device);
  if (options.full_fp16) precision.weights = at::kHalf;
  if (options.full_bf16) precision.weights = at::kBFloat16;
  precision.vae = options.no_half_vae ? at::kFloat : precision.compute;
  precision.scale_loss = precision.compute == at::kHalf || precision.weights == at::kHalf;
  return precision;
}

}  // namespace sdtune
