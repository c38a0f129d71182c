#include "generate/highres.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>

namespace sdtune {

namespace {

constexpr int kStep = 32;
constexpr int kLeast = 64;

int small_side(int side, double scale) {
  const int scaled = static_cast<int>(side * scale + 0.5);
  return std::max(kLeast, scaled / kStep * kStep);
}

std::vector<PictureRequest> first_stage(std::span<const PictureRequest> batch,
                                        const HighresFix& fix) {
  std::vector<PictureRequest> requests(batch.begin(), batch.end());
  for (PictureRequest& request : requests) {
    request.width = small_side(request.width, fix.scale);
    request.height = small_side(request.height, fix.scale);
    request.steps = fix.steps;
    request.strength = fix.strength.value_or(request.strength);
  }
  return requests;
}

std::vector<PictureRequest> second_stage(std::span<const PictureRequest> batch) {
  std::vector<PictureRequest> requests(batch.begin(), batch.end());
  for (PictureRequest& request : requests) {
    ++request.seed;
    request.start.reset();
    request.mask.reset();
  }
  return requests;
}

}  // namespace

TwoStages draw_in_two_stages(const PictureModels& models, const DrawSettings& settings,
                             std::span<const PictureRequest> batch, const HighresFix& fix,
                             bool wants_small) {
  TwoStages stages;
  const std::vector<PictureRequest> first = first_stage(batch, fix);
  const at::Tensor latents =
      draw_latents(models, settings, first, canvas_of(models, settings, first));
  if (!latents.defined()) return stages;
  if (wants_small || !fix.enlarges_latents) {
    stages.small = decode_latents(models.vae, latents, settings.vae);
  }
  std::vector<PictureRequest> second = second_stage(batch);
  Canvas canvas;
  if (fix.enlarges_latents) {
    canvas.latents = at::upsample_bilinear2d(
        latents, {batch[0].height / kLatentSide, batch[0].width / kLatentSide},
        /*align_corners=*/false);
  } else {
    for (size_t i = 0; i < second.size(); ++i) {
      second[i].start = std::make_shared<const Image>(stages.small[i]);
    }
    canvas = canvas_of(models, settings, second);
  }
  const at::Tensor large = draw_latents(models, settings, second, canvas);
  if (large.defined()) stages.large = decode_latents(models.vae, large, settings.vae);
  return stages;
}

}  // namespace sdtune
