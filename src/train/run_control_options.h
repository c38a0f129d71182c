// When a run ends, or goes back, before its last step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "options/option.h"

namespace sdtune {

struct RunControlOptions {
  std::optional<std::string> max_train_time;
  int64_t max_nan_steps = 10;

  template <class V>
  void visit(V& v) {
    v.group("Stopping and going back");
    v("max_train_time", max_train_time,
      "Minutes, or \"2h30m\": after this long since the program began, the step under way is "
      "finished, model and state are written, and the run ends.");
    v("max_nan_steps", max_nan_steps,
      "Steps in a row with a loss or a gradient that is not finite, after which the weights of the "
      "last state come back; the run ends with an error when there is none.",
      Range{1, 1e9});
  }
};

}  // namespace sdtune
