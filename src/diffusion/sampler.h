// Samplers: the way from noise to latents in a given number of steps, each by sd-scripts' name and
// with the arithmetic of the Diffusers scheduler that stands behind it. They evaluate no model and
// draw no noise: the caller runs the U-Net between scale_input() and step(), and hands in draws.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/noise_schedule.h"

namespace sdtune {

struct SamplerOptions {
  int steps = 30;            // 1 to 1000; pndm needs 4 at least, lcm takes 50 at most
  bool predicts_v = false;   // what the U-Net gives: v, or else the noise
  bool karras = false;       // sigmas of Karras et al. 2022, eq. 5, where the sampler has them
  int steps_offset = 0;      // added to the timesteps of ddim and pndm: previews 0, gen_img 1
  bool clip_sample = false;  // ddim, heun and lcm keep the picture they predict within -1 and 1
};

// The next standard normal draw of the latents' shape, on their device.
using DrawNoise = std::function<at::Tensor()>;

// How evaluation i sees a picture: signal * latents + noise * standard normal draw.
struct NoiseLevel {
  double signal = 1;
  double noise = 0;
};

// What a sampler's family finds out before the first step.
struct SamplerPath {
  std::vector<double> timesteps;   // of each evaluation
  std::vector<NoiseLevel> levels;  // of each evaluation
  std::vector<size_t> first;       // of each step: its first evaluation
  double initial_scale = 1;
};

// One batch on its way. It keeps outputs of earlier evaluations, so evaluations come in order and
// the next batch needs another sampler; but it may begin at any step (first_evaluation). No image
// of the batch has an influence on another.
class Sampler {
 public:
  virtual ~Sampler() = default;
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // One for each evaluation of the U-Net; heun, dpm_2 and pndm have more of them than steps. Not
  // all are whole numbers.
  const std::vector<double>& timesteps() const { return path_.timesteps; }

  // What the first latents, a standard normal draw, are multiplied with (init_noise_sigma).
  double initial_scale() const { return path_.initial_scale; }

  // What the U-Net is given at evaluation i: latents of variance 1. [B, 4, h, w] fp32.
  at::Tensor scale_input(const at::Tensor& latents, size_t i) const;

  // The latents after evaluation i from those before it (both fp32) and the U-Net's output for them
  // (any float type). Ancestral samplers and lcm call `draw` once where a step adds noise.
  virtual at::Tensor step(const at::Tensor& output, size_t i, const at::Tensor& latents,
                          const DrawNoise& draw) = 0;

  // A picture's latents as they would be before evaluation i, for a start from a picture and for
  // what a mask keeps; with i = timesteps().size() the picture itself. fp32.
  at::Tensor add_noise(const at::Tensor& latents, const at::Tensor& noise, size_t i) const;

  // Where to begin with a picture so that `strength` (0 to 1) of the steps are left, rounded down
  // (Diffusers' get_timesteps). timesteps().size() where no step is left.
  size_t first_evaluation(double strength) const;

 protected:
  Sampler(SamplerPath path, const SamplerOptions& options);

  size_t evaluations() const { return path_.timesteps.size(); }
  const NoiseLevel& level(size_t i) const { return path_.levels[i]; }

  // The picture (kept within -1 and 1 where that is asked for) and the noise that an output stands
  // for when latents at `level` were given to the U-Net.
  at::Tensor predicted_picture(const at::Tensor& output, const at::Tensor& latents,
                               const NoiseLevel& level) const;
  at::Tensor predicted_noise(const at::Tensor& output, const at::Tensor& latents,
                             const NoiseLevel& level) const;

 private:
  SamplerPath path_;
  bool predicts_v_;
  bool clip_sample_;
};

// By one of sampler_names(). The schedule's alphas_cumprod are on the CPU. Where the last is 0
// (with_zero_terminal_snr), ddim and pndm space their steps so that they begin at the last
// timestep, they and lcm take v alone, and the others count it as 2^-24, as Diffusers does.
// UsageError for an unknown name (with the nearest one), and for steps or options that the sampler
// does not take.
std::unique_ptr<Sampler> make_sampler(const std::string& name, const NoiseSchedule& schedule,
                                      const SamplerOptions& options);

// ddim, pndm, lms, euler, ...: what --sample_sampler and --sampler take, and unipc and lcm.
std::span<const std::string_view> sampler_names();

}  // namespace sdtune
