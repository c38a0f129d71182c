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
  ModelCopies copies{trainee.unet, trainee.text_encoder};
  if (ema) {
    take_averages(*trainee.ema, "unet.", copies.unet);
    take_averages(*trainee.ema, "text_encoder.", copies.text_encoder);
  }
  return copies;
}

}  // namespace sdtune
