// Options of the noise that pictures are hidden under, and of the timesteps that are trained. What
// they mean together is checked in objective.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "diffusion/timesteps.h"
#include "options/option.h"

namespace sdtune {

inline EnumNames<TimestepSampling> timestep_sampling_names() {
  return {{"uniform", TimestepSampling::kUniform},
          {"logit_normal", TimestepSampling::kLogitNormal},
          {"sigmoid", TimestepSampling::kSigmoid},
          {"custom", TimestepSampling::kCustom}};
}

struct NoiseOptions {
  std::optional<double> noise_offset;
  bool noise_offset_random_strength = false;
  std::optional<double> adaptive_noise_scale;
  std::optional<int64_t> multires_noise_iterations;
  double multires_noise_discount = 0.3;
  std::optional<double> ip_noise_gamma;
  bool ip_noise_gamma_random_strength = false;
  bool zero_terminal_snr = false;
  std::optional<int64_t> min_timestep;
  std::optional<int64_t> max_timestep;
  TimestepSampling timestep_sampling = TimestepSampling::kUniform;
  double logit_mean = 0;
  double logit_std = 1;
  double sigmoid_scale = 1;
  std::optional<std::string> timestep_weights;

  template <class V>
  void visit(V& v) {
    v.group("Noise and timesteps");
    v("noise_offset", noise_offset,
      "Noise added to whole channels, so that very dark and very light pictures can be learned; "
      "about 0.1.",
      Range{0, 10});
    v("noise_offset_random_strength", noise_offset_random_strength,
      "Draw each sample's offset between 0 and --noise_offset.");
    v("adaptive_noise_scale", adaptive_noise_scale,
      "Add this times the mean of the channel's latents to the offset.", Range{-100, 100});
    v("multires_noise_iterations", multires_noise_iterations,
      "Add this many layers of coarser noise; 6 to 10 are usual, 0 is none.", Range{0, 64});
    v("multires_noise_discount", multires_noise_discount,
      "Strength of each coarser layer beside the one before.", Range{0, 1});
    v("ip_noise_gamma", ip_noise_gamma,
      "Further noise in what the model sees but not in what it is to predict; about 0.1.",
      Range{0, 10});
    v("ip_noise_gamma_random_strength", ip_noise_gamma_random_strength,
      "Draw each sample's between 0 and --ip_noise_gamma.");
    v("zero_terminal_snr", zero_terminal_snr,
      "Leave nothing of the picture at the last timestep; for models that predict v.");
    v("min_timestep", min_timestep, "Lowest timestep trained; 0 when not given.", Range{0, 999});
    v("max_timestep", max_timestep,
      "Timesteps stay below this; 1000 when not given. The same as --min_timestep: that one alone.",
      Range{0, 1000});
    v("timestep_sampling", timestep_sampling,
      "How timesteps spread over the range: evenly, more in the middle (logit_normal, sigmoid), or "
      "by --timestep_weights.",
      timestep_sampling_names());
    v("logit_mean", logit_mean, "Where logit_normal has its middle; above 0 is more noise.",
      Range{-20, 20});
    v("logit_std", logit_std, "How wide logit_normal is.", Range{0, 100});
    v("sigmoid_scale", sigmoid_scale, "How wide sigmoid is.", Range{0, 100});
    v("timestep_weights", timestep_weights,
      "Weights for --timestep_sampling=custom: numbers with commas between, or a text file of "
      "them; they share the 1000 timesteps evenly.");
  }
};

}  // namespace sdtune
