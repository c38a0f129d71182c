// The schedule that follows the loss: torch's ReduceLROnPlateau, told the mean loss of each epoch.
// It is no function of the step, so it has a small state, which is saved with a run's.
#pragma once

#include <cstdint>
#include <optional>

#include "optim/optimizer_arguments.h"

namespace sdtune {

struct PlateauState {
  double factor = 1;           // on the learning rate
  std::optional<double> best;  // least mean loss of an epoch so far
  int64_t bad_epochs = 0;
  int64_t cooldown = 0;  // epochs left
  double sum = 0;        // of the losses of the epoch under way
  int64_t count = 0;
  bool operator==(const PlateauState&) const = default;
};

class LrPlateau {
 public:
  // torch's arguments, counted in epochs: factor=0.1, patience=10, threshold=1e-4,
  // threshold_mode='rel' or 'abs', cooldown=0, min_lr=0, eps=1e-8; mode='min' alone. UsageError for
  // others.
  LrPlateau(const OptimizerArguments& arguments, double learning_rate);

  // After each step. A loss that is not finite is passed over.
  void observe(double loss, bool ends_epoch);

  double factor() const { return state_.factor; }
  const PlateauState& state() const { return state_; }
  void restore(const PlateauState& state) { state_ = state; }

 private:
  void end_epoch(double loss);

  double learning_rate_;
  double factor_ = 0.1;
  int64_t patience_ = 10;
  double threshold_ = 1e-4;
  bool relative_ = true;
  int64_t cooldown_ = 0;
  double min_lr_ = 0;
  double eps_ = 1e-8;
  PlateauState state_;
};

}  // namespace sdtune
