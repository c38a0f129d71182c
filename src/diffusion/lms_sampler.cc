#include <ATen/ATen.h>

#include <cmath>
#include <deque>

#include "diffusion/sampler_families.h"
#include "diffusion/sampling_steps.h"

namespace sdtune {

namespace {

constexpr size_t kOrder = 4;

// The integral from `begin` to `end` of the polynomial that is 1 at nodes[k] and 0 at the others.
// Gauss' rule of two points is exact for it, up to four nodes.
double basis_integral(const std::deque<double>& nodes, size_t k, double begin, double end) {
  const double middle = (begin + end) / 2, half = (end - begin) / 2;
  double sum = 0;
  for (double point : {-1 / std::sqrt(3.0), 1 / std::sqrt(3.0)}) {
    double product = 1;
    for (size_t other = 0; other < nodes.size(); ++other) {
      if (other == k) continue;
      product *= (middle + half * point - nodes[other]) / (nodes[k] - nodes[other]);
    }
    sum += product;
  }
  return sum * half;
}

// Linear multistep: integrates the polynomial in sigma through the last four slopes, or as many as
// there are.
class LmsSampler final : public Sampler {
 public:
  LmsSampler(SigmaSteps steps, const SamplerOptions& options)
      : Sampler(sigma_path(steps), options), sigmas_(std::move(steps.sigmas)) {}

  at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                  const DrawNoise& /*draw*/) override {
    const double sigma = sigmas_[i];
    slopes_.push_front((latents - predicted_picture(output, latents, level(i))) / sigma);
    nodes_.push_front(sigma);
    if (nodes_.size() > kOrder) {
      slopes_.pop_back();
      nodes_.pop_back();
    }
    at::Tensor result = latents;
    for (size_t k = 0; k < nodes_.size(); ++k) {
      result = result + basis_integral(nodes_, k, sigma, sigmas_[i + 1]) * slopes_[k];
    }
    return result;
  }

 private:
  std::vector<double> sigmas_;
  std::deque<at::Tensor> slopes_;  // the latest first, and the sigmas that they belong to
  std::deque<double> nodes_;
};

}  // namespace

SamplerPointer make_lms(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return std::make_unique<LmsSampler>(even_sigma_steps(SigmaTable(schedule), options), options);
}

}  // namespace sdtune
