// Options of the pictures kept out of training to measure it.
#pragma once

#include <cstdint>
#include <optional>

#include "options/option.h"

namespace sdtune {

struct ValidationOptions {
  double validation_split = 0;
  int64_t validation_seed = 0;
  std::optional<int64_t> validate_every_n_steps;
  std::optional<int64_t> validate_every_n_epochs;
  std::optional<int64_t> max_validation_steps;

  template <class V>
  void visit(V& v) {
    v.group("Validation");
    v("validation_split", validation_split,
      "Share of the pictures that are not trained on but measure the run; 0 is none.",
      Range{0, 0.9});
    v("validation_seed", validation_seed,
      "Chooses those pictures and their noise, whatever --seed is.", Range{0, 9.2e18});
    v("validate_every_n_steps", validate_every_n_steps, "Measure each n steps.", Range{1, 1e12});
    v("validate_every_n_epochs", validate_every_n_epochs,
      "Measure each n epochs; each epoch when neither is given.", Range{1, 1e9});
    v("max_validation_steps", max_validation_steps,
      "Measure at most this many batches; all when not given.", Range{1, 1e12});
  }
};

}  // namespace sdtune
