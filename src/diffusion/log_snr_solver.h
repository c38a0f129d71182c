// Steps in the logarithm of the signal-to-noise ratio, lambda = log(signal / noise): what the
// DPM-Solvers and UniPC have in common. Latents have a variance of 1.
#pragma once

#include "diffusion/sampling_steps.h"

namespace sdtune {

// What a solver follows along a step: the predicted noise (DPM-Solver, Lu et al. 2022a) or the
// predicted picture (DPM-Solver++, Lu et al. 2022b).
enum class Follows { kNoise, kPicture };

// Infinite without noise.
double log_snr(const NoiseLevel& level);

// Each level of the steps, and the one where the last ends.
std::vector<NoiseLevel> log_snr_levels(const SigmaSteps& steps);

// Latents moved from one level to another while what is followed stays `value`: the exact solution
// of the linear part (2022a eq. 3.7, 2022b eq. 9). fp32, shape of the latents.
at::Tensor move_latents(Follows follows, const at::Tensor& latents, const at::Tensor& value,
                        const NoiseLevel& from, const NoiseLevel& to);

// What is followed, half way along a step of length 1 in lambda from where it was `here`, on the
// line through `other` at the distance `r` (negative: before).
at::Tensor half_way(const at::Tensor& here, const at::Tensor& other, double r);

}  // namespace sdtune
