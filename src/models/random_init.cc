#include "models/random_init.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/philox.h"

namespace sdtune {
namespace {

constexpr double kEmbeddingDeviation = 0.02;

void fill_uniform(at::Tensor& tensor, double bound, Random& random) {
  float* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
}

}  // namespace

void initialise_slots(const ParameterSlots& slots, uint64_t seed) {
  double bound = 0;  // of the last weight; its bias follows it and shares it
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto& [name, slot] = slots[i];
    Random random(seed, Draw::kWeights, i);
    at::Tensor tensor = at::empty(slot->sizes(), at::kFloat);
    if (name.ends_with(".bias")) {
      fill_uniform(tensor, bound, random);
    } else if (tensor.dim() == 1) {
      tensor.fill_(1);
      bound = 0;
    } else if (name.ends_with("_embedding.weight")) {
      random.fill_normal({tensor.mutable_data_ptr<float>(), static_cast<size_t>(tensor.numel())});
      tensor.mul_(kEmbeddingDeviation);
    } else {
      bound = 1 / std::sqrt(static_cast<double>(tensor.numel() / tensor.size(0)));
      fill_uniform(tensor, bound, random);
    }
    *slot = tensor;
  }
}

}  // namespace sdtune
