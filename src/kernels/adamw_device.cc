#include "kernels/adamw_device.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

namespace sdtune {

TORCH_LIBRARY_FRAGMENT(sdtune, m) {
  m.def(
      "adamw_(Tensor(a!)[] weights, Tensor[] gradients, Tensor(b!)[] exp_avg, "
      "Tensor(c!)[] exp_avg_sq, Tensor(d!)[] max_exp_avg_sq, Tensor(e!)[] times, Tensor? scale, "
      "float[] numbers, bool decoupled) -> ()");
}

void update_adamw_on_device(const AdamWLists& lists, const AdamWRule& rule,
                            const at::Tensor& scale) {
  if (lists.weights.empty()) return;
  using Signature =
      void(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
           at::TensorList, const std::optional<at::Tensor>&, at::ArrayRef<double>, bool);
  static const auto update =
      c10::Dispatcher::singleton().findSchemaOrThrow("sdtune::adamw_", "").typed<Signature>();
  const std::vector<double> numbers = {rule.rate, rule.beta1,        rule.beta2,
                                       rule.eps,  rule.weight_decay, rule.gradient_scale};
  update.call(lists.weights, lists.gradients, lists.exp_avg, lists.exp_avg_sq, lists.max_exp_avg_sq,
              lists.times, scale.defined() ? std::optional(scale) : std::nullopt, numbers,
              rule.decoupled);
}

}  // namespace sdtune
