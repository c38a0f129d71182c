#include "train/model_copies.h"

#include <string_view>
#include <unordered_map>

namespace sdtune {

namespace {

template <class Model>
void take_averages(const Ema& ema, const std::string& prefix, Model& model) {
  std::unordered_map<std::string_view, at::Tensor> averages(ema.averages().begin(),
                                                            ema.averages().end());
  visit_parameters(model, [&](const std::string& name, at::Tensor& parameter) {
    const auto found = averages.find(prefix + name);
    if (found != averages.end()) parameter = found->second;
  });
}

}  // namespace

ModelCopies model_copies(const Trainee& trainee, bool ema) {
  ModelCopies copies{trainee.unet, trainee.text_encoder, nullptr};
  if (trainee.hypernetwork) {
    copies.hypernetwork = std::make_unique<Hypernetwork>(*trainee.hypernetwork);
    attach(copies.unet, *copies.hypernetwork);
  }
  if (!ema) return copies;
  take_averages(*trainee.ema, "unet.", copies.unet);
  take_averages(*trainee.ema, "text_encoder.", copies.text_encoder);
  if (copies.hypernetwork) take_averages(*trainee.ema, "hypernetwork.", *copies.hypernetwork);
  return copies;
}

}  // namespace sdtune
