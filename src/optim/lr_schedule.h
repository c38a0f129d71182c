// Learning-rate schedules as pure functions of the optimizer step, with Diffusers' names and
// formulas.
#pragma once

#include <cstdint>
#include <string>

namespace sdtune {

enum class LrScheduleKind {
  kConstant,
  kConstantWithWarmup,
  kLinear,
  kCosine,
  kCosineWithRestarts,
  kPolynomial
};

struct LrSchedule {
  LrScheduleKind kind = LrScheduleKind::kConstant;
  int64_t total_steps = 0;
  int64_t warmup_steps = 0;
  int64_t num_cycles = 1;    // cosine_with_restarts
  double power = 1;          // polynomial
  double learning_rate = 0;  // polynomial ends at 1e-7 of an absolute rate

  // The factor on the learning rate for the update that follows `step` updates.
  double factor(int64_t step) const;
};

// By sd-scripts' name ("cosine_with_restarts"); Error for others.
LrScheduleKind lr_schedule_kind(const std::string& name);

}  // namespace sdtune
