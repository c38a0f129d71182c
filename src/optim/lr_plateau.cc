#include "optim/lr_plateau.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "optim/lr_schedule.h"

namespace sdtune {

LrPlateau::LrPlateau(const OptimizerArguments& arguments, double learning_rate)
    : learning_rate_(learning_rate) {
  std::string mode = "min", threshold_mode = "rel";
  read_schedule_settings(arguments, "reduce_lr_on_plateau", [&](ArgumentReader& read) {
    read.text("mode", mode, {"min"});
    read.number("factor", factor_, 0, 0.999999);
    read.integer("patience", patience_, 0);
    read.number("threshold", threshold_, 0);
    read.text("threshold_mode", threshold_mode, {"rel", "abs"});
    read.integer("cooldown", cooldown_, 0);
    read.number("min_lr", min_lr_, 0);
    read.number("eps", eps_, 0);
  });
  relative_ = threshold_mode == "rel";
}

void LrPlateau::observe(double loss, bool ends_epoch) {
  if (std::isfinite(loss)) {
    state_.sum += loss;
    ++state_.count;
  }
  if (!ends_epoch || state_.count == 0) return;
  const auto count = static_cast<double>(std::exchange(state_.count, 0));
  end_epoch(std::exchange(state_.sum, 0) / count);
}

void LrPlateau::end_epoch(double loss) {
  const double best = state_.best.value_or(INFINITY);
  if (loss < (relative_ ? best * (1 - threshold_) : best - threshold_)) {
    state_.best = loss;
    state_.bad_epochs = 0;
  } else {
    ++state_.bad_epochs;
  }
  if (state_.cooldown > 0) {
    --state_.cooldown;
    state_.bad_epochs = 0;
  }
  if (state_.bad_epochs <= patience_) return;
  const double now = state_.factor * learning_rate_;
  const double next = std::max(now * factor_, min_lr_);
  if (now - next > eps_) state_.factor = next / learning_rate_;
  state_.cooldown = cooldown_;
  state_.bad_epochs = 0;
}

}  // namespace sdtune
