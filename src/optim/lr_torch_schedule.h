// Learning-rate schedules by the class names of torch.optim.lr_scheduler, those that have a closed
// form. Classes that need other schedules or Python functions have none.
#pragma once

#include "optim/lr_schedule.h"

namespace sdtune {

// With torch's arguments and defaults, t the step and r the learning rate, the factor on it:
//   ConstantLR(factor=1/3, total_iters=5)                     factor while t < total_iters, then 1
//   LinearLR(start_factor=1/3, end_factor=1, total_iters=5)   a line between the two, then the last
//   StepLR(step_size, gamma=0.1)                              gamma^floor(t / step_size)
//   MultiStepLR(milestones, gamma=0.1)                        gamma^(milestones reached)
//   ExponentialLR(gamma)                                      gamma^t
//   PolynomialLR(total_iters=5, power=1)                      (1 - t / total_iters)^power, then 0
//   CosineAnnealingLR(T_max, eta_min=0)            eta_min + (r - eta_min)(1 + cos(pi t / T_max)) /
//   2 CosineAnnealingWarmRestarts(T_0, T_mult=1, eta_min=0)     the same within each period
//   OneCycleLR(max_lr, total_steps=all, pct_start=0.3, anneal_strategy='cos', div_factor=25,
//              final_div_factor=1e4, three_phase=False)       cycle_momentum=False must be given
// "torch.optim.lr_scheduler." before the name is accepted. eta_min and max_lr are rates for
// `learning_rate`; other groups keep their ratio to it. UsageError for other classes, naming these,
// and for arguments that are missing or not taken.
LrSchedule make_torch_lr_schedule(const std::string& class_name,
                                  const OptimizerArguments& arguments, double learning_rate,
                                  int64_t total_steps);

}  // namespace sdtune
