#include "diffusion/sampler.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "diffusion/sampler_families.h"

namespace sdtune {

namespace {

struct Entry {
  std::string_view name;
  SamplerPointer (*make)(const NoiseSchedule&, const SamplerOptions&);
  bool has_karras = true;
  bool clips = false;
  bool on_alphas = false;  // divides by the signal, so that a terminal signal of 0 is for v alone
  int least_steps = 1;
  int most_steps = kTrainTimesteps;
};

constexpr std::array kEntries = {
    Entry{"ddim", make_ddim, /*has_karras=*/false, /*clips=*/true, /*on_alphas=*/true},
    Entry{"pndm", make_pndm, false, false, true, kPndmLeastSteps},
    Entry{"lms", make_lms},
    Entry{"euler", make_euler},
    Entry{"euler_a", make_euler_ancestral, /*has_karras=*/false},
    Entry{"heun", make_heun, true, /*clips=*/true},
    Entry{"dpm_2", make_dpm_2},
    Entry{"dpm_2_a", make_dpm_2_ancestral},
    Entry{"dpmsolver", make_dpm_solver},
    Entry{"dpmsolver++", make_dpm_solver_plus},
    Entry{"dpmsingle", make_dpm_solver_single},
    Entry{"k_lms", make_lms},
    Entry{"k_euler", make_euler},
    Entry{"k_euler_a", make_euler_ancestral, /*has_karras=*/false},
    Entry{"k_dpm_2", make_dpm_2},
    Entry{"k_dpm_2_a", make_dpm_2_ancestral},
    Entry{"unipc", make_unipc},
    Entry{"lcm", make_lcm, false, true, true, 1, kLcmMostSteps},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kEntries.size()> names;
  std::ranges::transform(kEntries, names.begin(), &Entry::name);
  return names;
}();

const Entry& find_entry(const std::string& name) {
  const auto entry = std::ranges::find(kEntries, std::string_view(name), &Entry::name);
  if (entry != kEntries.end()) return *entry;
  const std::string near = nearest_name(name, {kNames.begin(), kNames.end()});
  throw UsageError("unknown sampler", name,
                   near.empty() ? fmt::format("use one of: {}", fmt::join(kNames, ", "))
                                : fmt::format("did you mean '{}'?", near));
}

void check(const Entry& entry, const NoiseSchedule& schedule, const SamplerOptions& options) {
  const std::string where = fmt::format("sampler {}", entry.name);
  if (options.steps < entry.least_steps || options.steps > entry.most_steps) {
    throw UsageError(fmt::format("{} steps are out of range", options.steps), where,
                     fmt::format("use {} to {}", entry.least_steps, entry.most_steps));
  }
  if (options.steps_offset < 0) throw UsageError("the offset of steps is negative", where);
  if (options.karras && !entry.has_karras) {
    throw UsageError("this sampler has no Karras sigmas", where, "use euler or dpmsolver++");
  }
  const bool ends_in_noise = schedule.alphas_cumprod[-1].item<float>() == 0;
  if (entry.on_alphas && ends_in_noise && !options.predicts_v) {
    throw UsageError("a schedule with zero terminal SNR needs a model that predicts v", where,
                     "use a v model, or euler");
  }
}

}  // namespace

Sampler::Sampler(SamplerPath path, const SamplerOptions& options)
    : path_(std::move(path)), predicts_v_(options.predicts_v), clip_sample_(options.clip_sample) {}

at::Tensor Sampler::scale_input(const at::Tensor& latents, size_t i) const {
  const NoiseLevel& at = level(i);
  return latents.to(at::kFloat) / std::hypot(at.signal, at.noise);
}

at::Tensor Sampler::add_noise(const at::Tensor& latents, const at::Tensor& noise, size_t i) const {
  const NoiseLevel at = i < evaluations() ? level(i) : NoiseLevel{};
  return at.signal * latents.to(at::kFloat) + at.noise * noise.to(at::kFloat);
}

size_t Sampler::first_evaluation(double strength) const {
  const size_t steps = path_.first.size();
  const auto left = std::min(static_cast<size_t>(static_cast<double>(steps) * strength), steps);
  return left == 0 ? evaluations() : path_.first[steps - left];
}

// With the latents scaled to a variance of 1, as the U-Net sees them, and s and n their signal and
// noise: picture = s x - n v, noise = s v + n x.
at::Tensor Sampler::predicted_picture(const at::Tensor& output, const at::Tensor& latents,
                                      const NoiseLevel& level) const {
  const at::Tensor out = output.to(at::kFloat);
  const double scale = std::hypot(level.signal, level.noise);
  const at::Tensor picture =
      predicts_v_ ? level.signal / (scale * scale) * latents - level.noise / scale * out
                  : (latents - level.noise * out) / level.signal;
  return clip_sample_ ? at::clamp(picture, -1, 1) : picture;
}

at::Tensor Sampler::predicted_noise(const at::Tensor& output, const at::Tensor& latents,
                                    const NoiseLevel& level) const {
  const at::Tensor out = output.to(at::kFloat);
  if (!predicts_v_) return out;
  const double scale = std::hypot(level.signal, level.noise);
  return level.signal / scale * out + level.noise / (scale * scale) * latents;
}

std::unique_ptr<Sampler> make_sampler(const std::string& name, const NoiseSchedule& schedule,
                                      const SamplerOptions& options) {
  const Entry& entry = find_entry(name);
  check(entry, schedule, options);
  SamplerOptions taken = options;
  taken.clip_sample = options.clip_sample && entry.clips;
  return entry.make(schedule, taken);
}

std::span<const std::string_view> sampler_names() { return kNames; }

}  // namespace sdtune
