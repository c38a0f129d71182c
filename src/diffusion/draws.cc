#include "diffusion/draws.h"

#include <ATen/Parallel.h>

#include "base/philox.h"

namespace sdtune {

at::Tensor draw_noise(const DrawPosition& position, at::IntArrayRef shape) {
  at::Tensor noise = at::empty(shape, at::kFloat);
  const int64_t count = shape[0];
  const auto size = static_cast<size_t>(count > 0 ? noise.numel() / count : 0);
  // A GPU waits for this, longer the larger the batch is.
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Random random(position.seed, Draw::kNoise, position.step, position.first_sample + i);
      random.fill_normal({noise.data_ptr<float>() + i * size, size});
    }
  });
  return noise;
}

}  // namespace sdtune
