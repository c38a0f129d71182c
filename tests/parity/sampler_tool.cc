// sdtune-sample: runs samplers on given noise, so that test_samplers.py can hold them against
// Diffusers' schedulers. A test's tool, not installed.
//
//   sdtune-sample CASES INPUTS.safetensors OUTPUT.safetensors [FOLDER]
//
// CASES has a line for each run: name, steps, v, Karras, zero terminal SNR, offset, clip, strength
// (0: from noise alone), U-Net (0 or 1). INPUTS holds `noise`, `picture`, `draw.<n>` and `states`.
// OUTPUT holds `latents.<line>` and `timesteps.<line>`. The U-Net is that of the Diffusers folder,
// or else a function that the test has too.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "diffusion/sampler.h"
#include "models/stable_diffusion.h"
#include "tensor_files.h"

namespace sdtune {
namespace {

struct Case {
  std::string name;
  SamplerOptions options;
  bool zero_snr = false;
  double strength = 0;
  bool unet = false;
};

std::vector<Case> read_cases(const std::string& path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    Case c;
    SamplerOptions& o = c.options;
    std::istringstream words(line);
    words >> c.name >> o.steps >> o.predicts_v >> o.karras >> c.zero_snr >> o.steps_offset >>
        o.clip_sample >> c.strength >> c.unet;
    if (!words) throw Error("not a case: " + line, path);
    cases.push_back(c);
  }
  return cases;
}

at::Tensor toy_model(const at::Tensor& x, double timestep) {
  const at::Tensor neighbour = at::roll(x, {1, 1}, {1, 3});
  return x - 0.2 * std::cos(timestep / 200) * at::tanh(2 * neighbour);
}

struct Workbench {
  Tensors inputs;
  std::optional<UNet2DConditionModel> unet;

  at::Tensor predict(const Case& c, const at::Tensor& x, double timestep) {
    if (!c.unet) return toy_model(x, timestep);
    const at::Tensor timesteps = at::full({x.size(0)}, timestep, at::kFloat);
    return unet->forward(x, timesteps, inputs.at("states"));
  }
};

at::Tensor sample(Workbench& bench, const Case& c, Sampler& sampler) {
  const at::Tensor noise = bench.inputs.at("noise");
  const size_t first = c.strength > 0 ? sampler.first_evaluation(c.strength) : 0;
  at::Tensor latents = c.strength > 0 ? sampler.add_noise(bench.inputs.at("picture"), noise, first)
                                      : sampler.initial_scale() * noise;
  int draws = 0;
  const DrawNoise draw = [&] { return bench.inputs.at(fmt::format("draw.{}", draws++)); };
  for (size_t i = first; i < sampler.timesteps().size(); ++i) {
    const at::Tensor output =
        bench.predict(c, sampler.scale_input(latents, i), sampler.timesteps()[i]);
    latents = sampler.step(output, i, latents, draw);
  }
  return latents;
}

void run(const std::vector<std::string>& words) {
  if (words.size() < 3) throw UsageError("three arguments are needed: cases, inputs, output");
  const at::NoGradGuard no_gradients;
  Workbench bench{read_all(words[1]), {}};
  if (words.size() > 3) bench.unet = load_unet(*open_model({.path = words[3]}));
  const NoiseSchedule schedule = scaled_linear_schedule();
  Tensors results;
  for (const Case& c : read_cases(words[0])) {
    const size_t line = results.size() / 2;
    const auto sampler =
        make_sampler(c.name, c.zero_snr ? with_zero_terminal_snr(schedule) : schedule, c.options);
    const at::Tensor latents = sample(bench, c, *sampler);
    results[fmt::format("latents.{}", line)] = latents;
    results[fmt::format("timesteps.{}", line)] = at::tensor(sampler->timesteps(), at::kFloat);
  }
  write_all(words[2], results);
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  return sdtune::run_tool("sdtune-sample", [&] { sdtune::run({argv + 1, argv + argc}); });
}
