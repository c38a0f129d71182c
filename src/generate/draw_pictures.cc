#include "generate/draw_pictures.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/philox.h"
#include "diffusion/noise.h"
#include "diffusion/sampler.h"
#include "image/resize.h"

namespace sdtune {

namespace {

// Stands where a training step's number would, so that no training step has the same noise.
constexpr int64_t kFirstDraw = -1'000'000;
constexpr int64_t kPyramidIterations = 6;

int64_t latent_side(int pixels) { return pixels / kLatentSide; }

double between(std::pair<double, double> ends, Random& random) {
  return ends.first + (ends.second - ends.first) * random.uniform();
}

NoiseSettings noise_settings(const NoiseChance& chance, uint64_t seed) {
  Random random(seed, Draw::kPictureNoise);
  NoiseSettings settings;
  if (random.uniform() < chance.offset_probability)
    settings.offset = between(chance.offset, random);
  if (random.uniform() < chance.pyramid_probability) {
    settings.multires_iterations = kPyramidIterations;
    settings.multires_discount = between(chance.pyramid_discount, random);
  }
  return settings;
}

// The draws of a batch in order, each picture's from its own seed.
class PictureDraws {
 public:
  PictureDraws(std::span<const PictureRequest> batch, int64_t channels, at::Device device)
      : batch_(batch), channels_(channels), device_(device) {}

  at::Tensor next(const NoiseChance& chance = {}) {
    std::vector<at::Tensor> draws;
    for (const PictureRequest& request : batch_) {
      const at::Tensor blank = at::zeros(
          {1, channels_, latent_side(request.height), latent_side(request.width)}, at::kFloat);
      draws.push_back(training_noise({request.seed, kFirstDraw - number_, 0},
                                     noise_settings(chance, request.seed), blank));
    }
    ++number_;
    return at::cat(draws).to(device_);
  }

 private:
  std::span<const PictureRequest> batch_;
  int64_t channels_;
  at::Device device_;
  int64_t number_ = 0;
};

template <class Text>
std::vector<std::string> texts_of(std::span<const PictureRequest> batch, const Text& text) {
  std::vector<std::string> texts;
  for (const PictureRequest& request : batch) texts.push_back(text(request));
  return texts;
}

int64_t chunks_for(const PictureModels& models, const PictureRequest& request) {
  return std::max(chunks_of(models.text, request.prompt),
                  chunks_of(models.text, request.negative_prompt));
}

// The U-Net's answer for a batch, guided. With u for the negative prompt and c for the prompt
//   u + scale (c - u);
// with a scale of the negative prompt n, and u for the empty prompt,
//   u + scale (c - u) - negative_scale (n - u).
class GuidedUNet {
 public:
  GuidedUNet(const PictureModels& models, std::span<const PictureRequest> batch)
      : unet_(models.unet),
        scale_(batch[0].scale),
        negative_scale_(scale_ > 1 ? batch[0].negative_scale : std::nullopt) {
    const int64_t chunks = chunks_for(models, batch[0]);
    std::vector<std::string> texts = texts_of(batch, [](const auto& r) { return r.prompt; });
    const auto add = [&](const std::vector<std::string>& more) {
      texts.insert(texts.end(), more.begin(), more.end());
    };
    if (scale_ > 1) add(texts_of(batch, [](const auto& r) { return r.negative_prompt; }));
    if (negative_scale_) add(std::vector<std::string>(batch.size()));
    parts_ = static_cast<int64_t>(texts.size() / batch.size());
    states_ = prompt_states(models.text, texts, chunks);
  }

  // input [B, 4, h, w] -> the same shape, fp32.
  at::Tensor forward(const at::Tensor& input, double timestep) const {
    const at::Tensor timesteps =
        at::full({parts_ * input.size(0)}, timestep, input.options().dtype(at::kFloat));
    const at::Tensor output =
        unet_.forward(input.repeat({parts_, 1, 1, 1}), timesteps, states_).to(at::kFloat);
    if (parts_ == 1) return output;
    const std::vector<at::Tensor> parts = output.chunk(parts_);
    const at::Tensor &prompt = parts[0], &negative = parts[1], &none = parts.back();
    const at::Tensor guided = none + scale_ * (prompt - none);
    return negative_scale_ ? guided - *negative_scale_ * (negative - none) : guided;
  }

 private:
  const UNet2DConditionModel& unet_;
  double scale_;
  std::optional<double> negative_scale_;
  int64_t parts_ = 1;
  at::Tensor states_;  // [parts · B, n, C]
};

bool can_share(const PictureRequest& a, const PictureRequest& b) {
  return latent_side(a.width) == latent_side(b.width) &&
         latent_side(a.height) == latent_side(b.height) && a.steps == b.steps &&
         a.scale == b.scale && a.negative_scale == b.negative_scale && a.sampler == b.sampler &&
         a.strength == b.strength && !a.start == !b.start && !a.mask == !b.mask;
}

Image resized_start(const PictureRequest& request) {
  return resize(*request.start, static_cast<int>(latent_side(request.width)) * kLatentSide,
                static_cast<int>(latent_side(request.height)) * kLatentSide,
                Interpolation::kLanczos);
}

}  // namespace

uint64_t drawn_seed(uint64_t seed, uint64_t number) {
  return Random(seed, Draw::kPictureSeed, number).below(uint64_t{1} << 31);
}

size_t batch_at_front(const PictureModels& models, const DrawSettings& settings,
                      std::span<const PictureRequest> requests) {
  const size_t most = std::min(requests.size(), static_cast<size_t>(settings.batch_size));
  size_t count = std::min<size_t>(1, most);
  while (count < most && can_share(requests[0], requests[count]) &&
         chunks_for(models, requests[0]) == chunks_for(models, requests[count])) {
    ++count;
  }
  return count;
}

at::Tensor draw_latents(const PictureModels& models, const DrawSettings& settings,
                        std::span<const PictureRequest> batch, const Canvas& canvas) {
  const at::NoGradGuard no_grad;
  const PictureRequest& first = batch[0];
  const auto sampler = make_sampler(first.sampler, models.schedule,
                                    {.steps = static_cast<int>(first.steps),
                                     .predicts_v = models.predicts_v,
                                     .steps_offset = settings.steps_offset});
  const GuidedUNet unet(models, batch);
  PictureDraws draws(batch, models.unet.config.in_channels, models.device);
  const at::Tensor noise = draws.next(settings.noise);
  const std::vector<double>& timesteps = sampler->timesteps();
  size_t begin = 0;
  at::Tensor latents = noise * sampler->initial_scale();
  if (canvas.latents.defined()) {
    begin = sampler->first_evaluation(first.strength);
    latents = sampler->add_noise(canvas.latents, noise, begin);
  }
  for (size_t i = begin; i < timesteps.size(); ++i) {
    if (!settings.goes_on()) return {};
    const at::Tensor output = unet.forward(sampler->scale_input(latents, i), timesteps[i]);
    latents = sampler->step(output, i, latents, [&] { return draws.next(); });
    if (canvas.repaint.defined()) {
      const at::Tensor kept = sampler->add_noise(canvas.latents, noise, i + 1);
      latents = kept + canvas.repaint * (latents - kept);
    }
  }
  return latents;
}

Canvas canvas_of(const PictureModels& models, const DrawSettings& settings,
                 std::span<const PictureRequest> batch) {
  if (!batch[0].start) return {};
  std::vector<Image> pictures;
  std::vector<at::Tensor> masks;
  for (const PictureRequest& request : batch) {
    pictures.push_back(resized_start(request));
    if (!request.mask) continue;
    masks.push_back(
        mask_of_latents(*request.mask, latent_side(request.height), latent_side(request.width)));
  }
  Canvas canvas{encode_pictures(models.vae, pictures, settings.vae), {}};
  if (!masks.empty()) canvas.repaint = at::cat(masks).to(models.device);
  return canvas;
}

std::vector<Image> draw_pictures(const PictureModels& models, const DrawSettings& settings,
                                 std::span<const PictureRequest> batch) {
  const at::Tensor latents =
      draw_latents(models, settings, batch, canvas_of(models, settings, batch));
  if (!latents.defined()) return {};
  return decode_latents(models.vae, latents, settings.vae);
}

}  // namespace sdtune
