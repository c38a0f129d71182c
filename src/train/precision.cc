#include "train/precision.h"

#include "base/log.h"

namespace sdtune {

Precision choose_precision(MixedPrecision mixed_precision, at::Device device) {
  switch (mixed_precision) {
    case MixedPrecision::kBf16:
      return {at::kBFloat16, false};
    case MixedPrecision::kFp16:
      if (device.is_cuda()) return {at::kHalf, true};
      log_warning(
          "--mixed_precision=fp16 computes in fp32 on a CPU; bf16 is there for newer processors");
      break;
    case MixedPrecision::kNo:
      break;
  }
  return {};
}

}  // namespace sdtune
