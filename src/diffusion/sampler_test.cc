#include "diffusion/sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"

namespace sdtune {
namespace {

std::unique_ptr<Sampler> make(const std::string& name, const SamplerOptions& options,
                              bool zero_snr = false) {
  const NoiseSchedule schedule = scaled_linear_schedule();
  return make_sampler(name, zero_snr ? with_zero_terminal_snr(schedule) : schedule, options);
}

std::string refusal(const std::string& name, const SamplerOptions& options, bool zero_snr = false) {
  try {
    make(name, options, zero_snr);
  } catch (const UsageError& error) {
    return error.what() + std::string("; ") + error.hint();
  }
  return "";
}

at::Tensor random(uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn({2, 4, 3, 5}, generator, at::kFloat);
}

DrawNoise counted_draws(uint64_t seed) {
  return [seed]() mutable { return random(seed++); };
}

// What a U-Net that knows the picture would answer: the noise in the latents, or v.
at::Tensor perfect_output(const Sampler& sampler, const at::Tensor& latents, size_t i,
                          const at::Tensor& picture, bool predicts_v) {
  const at::Tensor one = at::ones_like(picture), none = at::zeros_like(picture);
  const at::Tensor signal = sampler.add_noise(one, none, i);
  const at::Tensor level = sampler.add_noise(none, one, i);
  const at::Tensor noise = (latents - signal * picture) / level;
  if (!predicts_v) return noise;
  return (signal * noise - level * picture) / (signal * signal + level * level).sqrt();
}

// How far sampling with a perfect U-Net ends from its picture, beginning at evaluation `first`.
double miss(Sampler& sampler, bool predicts_v, size_t first) {
  const at::Tensor picture = random(1), noise = random(2);
  const DrawNoise draw = counted_draws(3);
  at::Tensor latents =
      first == 0 ? sampler.initial_scale() * noise : sampler.add_noise(picture, noise, first);
  for (size_t i = first; i < sampler.timesteps().size(); ++i) {
    const at::Tensor output = perfect_output(sampler, latents, i, picture, predicts_v);
    latents = sampler.step(output, i, latents, draw);
  }
  return (latents - picture).abs().max().item<double>();
}

// pndm and dpmsolver end at the first timestep, where a thirtieth is noise; and pndm averages v of
// different levels.
double largest_miss(const std::string& name, bool predicts_v) {
  if (name == "pndm") return predicts_v ? 0.4 : 0.12;
  return name == "dpmsolver" ? 0.12 : 2e-3;
}

bool has_karras(const std::string& name) { return refusal(name, {.karras = true}).empty(); }

TEST(Sampler, NamesTheNearestOfAnUnknownOne) {
  EXPECT_NE(refusal("eulr_a", {}).find("'euler_a'"), std::string::npos);
  EXPECT_NE(refusal("something", {}).find("dpmsolver++"), std::string::npos);
  for (const std::string_view name : sampler_names()) EXPECT_EQ(refusal(std::string(name), {}), "");
}

TEST(Sampler, RefusesStepsOutOfRange) {
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    const int least = name == "pndm" ? 4 : 1, most = name == "lcm" ? 50 : 1000;
    EXPECT_NE(refusal(name, {.steps = least - 1}), "") << name;
    EXPECT_EQ(refusal(name, {.steps = least}), "") << name;
    EXPECT_EQ(refusal(name, {.steps = most}), "") << name;
    EXPECT_NE(refusal(name, {.steps = most + 1}), "") << name;
  }
}

TEST(Sampler, RefusesWhatItCannotDo) {
  for (const char* name : {"ddim", "pndm", "euler_a", "k_euler_a", "lcm"}) {
    EXPECT_FALSE(has_karras(name)) << name;
  }
  for (const char* name : {"ddim", "pndm", "lcm"}) {
    EXPECT_NE(refusal(name, {}, true).find("predicts v"), std::string::npos) << name;
    EXPECT_EQ(refusal(name, {.predicts_v = true}, true), "") << name;
  }
  EXPECT_NE(refusal("ddim", {.steps_offset = -1}), "");
}

TEST(Sampler, EvaluatesAsOftenAsItsMethodNeeds) {
  const std::map<std::string, size_t> counts = {{"pndm", 29},    {"heun", 39},
                                                {"dpm_2", 39},   {"dpm_2_a", 39},
                                                {"k_dpm_2", 39}, {"k_dpm_2_a", 39}};
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    const auto more = counts.find(name);
    const auto sampler = make(name, {.steps = 20});
    EXPECT_EQ(sampler->timesteps().size(), more == counts.end() ? 20 : more->second) << name;
    // dpm_2_a finds its middle from a sigma, which differs from the next timestep in a rounding.
    const auto rises = [](double after, double before) { return after > before + 0.01; };
    EXPECT_TRUE(std::ranges::is_sorted(sampler->timesteps(), rises)) << name;
    EXPECT_GE(sampler->timesteps().back(), 0) << name;
    EXPECT_LE(sampler->timesteps().front(), 999) << name;
  }
}

TEST(Sampler, EndsAtThePictureThatTheModelKnows) {
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    if (name.starts_with("k_")) continue;
    for (const int steps : {1, 2, 5, 20, 50}) {
      if (!refusal(name, {.steps = steps}).empty()) continue;
      for (const bool v : {false, true}) {
        SamplerOptions options{.steps = steps, .predicts_v = v};
        EXPECT_LT(miss(*make(name, options), v, 0), largest_miss(name, v)) << name << " " << steps;
        options.karras = has_karras(name);
        EXPECT_LT(miss(*make(name, options), v, 0), largest_miss(name, v)) << name << " " << steps;
      }
    }
  }
}

TEST(Sampler, TakesAsManyStepsAsThereAreTimesteps) {
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    if (name.starts_with("k_") || name == "lcm") continue;
    EXPECT_LT(miss(*make(name, {.steps = 1000}), false, 0), largest_miss(name, false)) << name;
  }
}

TEST(Sampler, BeginsFromNothingButNoiseWithZeroTerminalSnr) {
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    const SamplerOptions options{.steps = 20, .predicts_v = true};
    const auto sampler = make(name, options, true);
    EXPECT_EQ(sampler->timesteps()[0], 999) << name;
    EXPECT_LT(miss(*sampler, true, 0), largest_miss(name, true)) << name;
  }
}

TEST(Sampler, BeginsFromAPictureAtAnyStep) {
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    for (const double strength : {0.05, 0.1, 0.5, 0.75, 0.9, 0.95}) {
      for (const bool v : {false, true}) {
        const auto sampler = make(name, {.steps = 20, .predicts_v = v});
        const size_t first = sampler->first_evaluation(strength);
        EXPECT_GT(first, 0) << name;
        EXPECT_LT(miss(*sampler, v, first), largest_miss(name, v)) << name << " " << strength;
      }
    }
  }
}

TEST(Sampler, LeavesThePartOfTheStepsThatStrengthSays) {
  const auto first = [](const char* name, double strength) {
    return make(name, {.steps = 20})->first_evaluation(strength);
  };
  EXPECT_EQ(first("ddim", 0), 20);
  EXPECT_EQ(first("ddim", 0.04), 20);
  EXPECT_EQ(first("ddim", 0.5), 10);
  EXPECT_EQ(first("ddim", 1), 0);
  EXPECT_EQ(first("heun", 0.5), 20);
  EXPECT_EQ(first("heun", 0.05), 38);
  EXPECT_EQ(first("pndm", 0.95), 4);
  EXPECT_EQ(first("pndm", 0.85), 12);
  EXPECT_EQ(first("pndm", 0.5), 19);
}

TEST(Sampler, NoiseOfThePictureFallsToNone) {
  const at::Tensor picture = random(1), noise = random(2);
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    const auto sampler = make(name, {.steps = 20});
    EXPECT_TRUE(sampler->add_noise(picture, noise, sampler->timesteps().size()).equal(picture));
    const at::Tensor first = sampler->scale_input(sampler->add_noise(picture, noise, 0), 0);
    EXPECT_LT((first - noise).abs().max().item<double>(), 0.4) << name;
  }
}

TEST(Sampler, KeepsOffsetStepsWithinTheSchedule) {
  EXPECT_EQ(make("ddim", {.steps = 20, .steps_offset = 1})->timesteps().front(), 951);
  EXPECT_EQ(make("ddim", {.steps = 20, .steps_offset = 1})->timesteps().back(), 1);
  EXPECT_EQ(make("ddim", {.steps = 1000, .steps_offset = 1})->timesteps().front(), 999);
  EXPECT_EQ(make("ddim", {.steps = 1000, .steps_offset = 1})->timesteps().back(), 0);
}

// The images of a batch are sampled as if each were alone, to the bit.
TEST(Sampler, TreatsEachImageOfABatchAlone) {
  for (const std::string_view view : sampler_names()) {
    const std::string name(view);
    const auto run = [&](int64_t begin, int64_t end) {
      const auto sampler = make(name, {.steps = 6});
      const auto part = [&](const at::Tensor& t) { return t.slice(0, begin, end); };
      const DrawNoise all = counted_draws(3);
      const DrawNoise draw = [&] { return part(all()); };
      at::Tensor latents = part(random(2)) * sampler->initial_scale();
      for (size_t i = 0; i < sampler->timesteps().size(); ++i) {
        const at::Tensor output = at::tanh(sampler->scale_input(latents, i) * 1.3);
        latents = sampler->step(output, i, latents, draw);
      }
      return latents;
    };
    const at::Tensor both = run(0, 2);
    EXPECT_TRUE(both[0].equal(run(0, 1)[0])) << name;
    EXPECT_TRUE(both[1].equal(run(1, 2)[0])) << name;
  }
}

}  // namespace
}  // namespace sdtune
