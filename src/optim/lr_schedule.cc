#include "optim/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace sdtune {

double LrSchedule::factor(int64_t step) const {
  if (kind == LrScheduleKind::kConstant) return 1;
  if (step < warmup_steps) {
    return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup_steps));
  }
  const double span = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  const double done = static_cast<double>(step - warmup_steps) / span;
  constexpr double kPi = std::numbers::pi;
  switch (kind) {
    case LrScheduleKind::kConstant:
    case LrScheduleKind::kConstantWithWarmup:
      return 1;
    case LrScheduleKind::kLinear:
      return std::max(0.0, 1 - done);
    case LrScheduleKind::kCosine:
      return std::max(0.0, 0.5 * (1 + std::cos(kPi * done)));
    case LrScheduleKind::kCosineWithRestarts:
      if (done >= 1) return 0;
      return 0.5 * (1 + std::cos(kPi * std::fmod(static_cast<double>(num_cycles) * done, 1.0)));
    case LrScheduleKind::kPolynomial: {
      constexpr double kEnd = 1e-7;
      if (done >= 1) return kEnd / learning_rate;
      return ((learning_rate - kEnd) * std::pow(1 - done, power) + kEnd) / learning_rate;
    }
  }
  return 1;
}

LrScheduleKind lr_schedule_kind(const std::string& name) {
  if (name == "constant") return LrScheduleKind::kConstant;
  if (name == "constant_with_warmup") return LrScheduleKind::kConstantWithWarmup;
  if (name == "linear") return LrScheduleKind::kLinear;
  if (name == "cosine") return LrScheduleKind::kCosine;
  if (name == "cosine_with_restarts") return LrScheduleKind::kCosineWithRestarts;
  if (name == "polynomial") return LrScheduleKind::kPolynomial;
  throw Error("there is no such learning-rate schedule: " + name);
}

}  // namespace sdtune
