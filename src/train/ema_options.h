// An average of the weights over the steps, kept beside them (optim/ema.h).
#pragma once

#include "options/option.h"

namespace sdtune {

struct EmaOptions {
  bool ema = false;
  double ema_decay = 0.9999;
  bool ema_cpu = false;

  template <class V>
  void visit(V& v) {
    v.group("Average of the weights");
    v("ema", ema,
      "Keep a moving average of the trained weights, and write it with each model under the same "
      "name with -ema.");
    v("ema_decay", ema_decay, "How slowly the average follows; it begins fast and rises to this.",
      Range{0, 1});
    v("ema_cpu", ema_cpu, "The average lives in host memory, not on the GPU.");
  }
};

}  // namespace sdtune
