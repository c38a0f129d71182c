#include "diffusion/timesteps.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/philox.h"

namespace sdtune {

namespace {

// The sums of the weights of all timesteps from `low` on, up to and with each.
std::vector<double> cumulative_weights(const TimestepSettings& settings) {
  const auto parts = static_cast<int64_t>(settings.weights.size());
  std::vector<double> sums;
  double sum = 0;
  for (int64_t t = settings.low; t < settings.high; ++t) {
    sum += settings.weights[static_cast<size_t>(t * parts / kTrainTimesteps)];
    sums.push_back(sum);
  }
  if (!(sum > 0)) {
    throw UsageError("no timestep of the range has a weight above 0", "--timestep_weights");
  }
  return sums;
}

// floor(share * size) counted from `low`, share in [0, 1].
int64_t at_share(const TimestepSettings& settings, double share) {
  const int64_t size = settings.high - settings.low;
  const auto place = static_cast<int64_t>(share * static_cast<double>(size));
  return settings.low + std::min(place, size - 1);
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

at::Tensor draw_timesteps(const DrawPosition& position, int64_t count,
                          const TimestepSettings& settings) {
  if (settings.low >= settings.high) return at::full({count}, settings.high, at::kLong);
  std::vector<double> sums;
  if (settings.sampling == TimestepSampling::kCustom) sums = cumulative_weights(settings);
  const auto draw = [&](Random& random) {
    switch (settings.sampling) {
      case TimestepSampling::kUniform:
        break;
      case TimestepSampling::kLogitNormal:
        return at_share(settings,
                        sigmoid(settings.logit_mean + settings.logit_std * random.normal()));
      case TimestepSampling::kSigmoid:
        return at_share(settings, sigmoid(settings.sigmoid_scale * random.normal()));
      case TimestepSampling::kCustom: {
        // The first sum above the draw, so that a timestep of weight 0 is never taken.
        const auto found =
            std::upper_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
        return settings.low + (found - sums.begin());
      }
    }
    const auto size = static_cast<uint64_t>(settings.high - settings.low);
    return settings.low + static_cast<int64_t>(random.below(size));
  };
  at::Tensor timesteps = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) {
    Random random(position.seed, Draw::kTimestep, position.step, position.first_sample + i);
    timesteps.data_ptr<int64_t>()[i] = draw(random);
  }
  return timesteps;
}

}  // namespace sdtune
