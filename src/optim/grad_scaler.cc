#include "optim/grad_scaler.h"

namespace sdtune {

GradScaler::GradScaler(at::Device device)
    : scale_(at::full({1}, 65536.0, at::TensorOptions(at::kFloat).device(device))),
      growth_(at::zeros({1}, at::TensorOptions(at::kInt).device(device))),
      found_inf_(at::zeros({1}, at::TensorOptions(at::kFloat).device(device))) {}

bool GradScaler::unscale(const std::vector<at::Tensor>& gradients) {
  const at::NoGradGuard no_grad;
  found_inf_.zero_();
  // The operator wants tensors of one type; half gradients are handled apart from fp32 ones.
  for (const at::ScalarType type : {at::kFloat, at::kHalf}) {
    std::vector<at::Tensor> same;
    for (const at::Tensor& gradient : gradients) {
      if (gradient.scalar_type() == type) same.push_back(gradient);
    }
    if (!same.empty()) {
      at::_amp_foreach_non_finite_check_and_unscale_(same, found_inf_, scale_.reciprocal());
    }
  }
  return found_inf_.item<float>() == 0;
}

at::Tensor GradScaler::inverse() const { return scale_.reciprocal().squeeze(); }

void GradScaler::note_norm(const at::Tensor& norm) {
  found_inf_.copy_(norm.isfinite().logical_not());
}

void GradScaler::update() {
  constexpr double kGrowth = 2, kBackoff = 0.5;
  constexpr int64_t kInterval = 2000;
  at::_amp_update_scale_(scale_, growth_, found_inf_, kGrowth, kBackoff, kInterval);
}

double GradScaler::current_scale() const { return scale_.item<double>(); }

int64_t GradScaler::good_steps() const { return growth_.item<int64_t>(); }

void GradScaler::restore(double scale, int64_t good_steps) {
  scale_.fill_(scale);
  growth_.fill_(good_steps);
}

}  // namespace sdtune
