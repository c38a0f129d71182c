// sdtune-bench: parts of the program's work with random weights of full size, timed. Needs torch
// and nothing else of the machine; step_bench.py puts peers beside it.
#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/system.h"
#include "encoders.h"
#include "kernels/cpu_allocator.h"
#include "machine_rates.h"
#include "whole_step.h"

namespace sdtune {
namespace {

using Json = nlohmann::ordered_json;

void print(const Json& line) {
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

void time_steps(const BenchJob& job, c10::Device device) {
  WholeStep step(job, device);
  for (int64_t i = 0; i < job.steps_before(); ++i) step.run(nullptr);
  std::unique_ptr<OperatorProfile> profile;
  if (job.profile) profile = std::make_unique<OperatorProfile>();
  for (int64_t i = 0; i < job.steps; ++i) {
    const StepTimes times = step.run(profile.get());
    print({{"forward", times.seconds[0]},
           {"backward", times.seconds[1]},
           {"clip", times.seconds[2]},
           {"optimizer", times.seconds[3]},
           {"loss", times.loss},
           {"grad_norm", times.grad_norm}});
  }
  const Json run = {{"peak_bytes", peak_bytes(device)}};
  if (profile) {
    const Json report = profile->report(job.steps);
    profile.reset();
    const double rate = product_rate(device, job.compute_type(), job.tiny);
    print({{"profile", report}, {"product_flops_s", rate}});
    std::fputs(table_of(report, rate).c_str(), stderr);
  }
  print(run);
}

void time_encoding(const BenchJob& job, c10::Device device) {
  const auto encode =
      job.what == "vae" ? picture_encoding(job, device) : caption_encoding(job, device);
  encode();
  LapClock clock(device);
  for (int64_t i = 0; i < job.steps; ++i) {
    clock.lap();
    encode();
    print({{"encode", clock.lap()}});
  }
  print({{"peak_bytes", peak_bytes(device)}});
}

void print_rates(const BenchJob& job, c10::Device device) {
  print({{"product_fp32_flops_s", product_rate(device, at::kFloat, job.tiny)},
         {"product_bf16_flops_s", product_rate(device, at::kBFloat16, job.tiny)},
         {"copy_bytes_s", copy_rate(device)},
         {"threads", at::get_num_threads()},
         {"processor", processor_name()},
         {"torch", TORCH_VERSION}});
}

int run(const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "--help") {
    std::fputs(bench_usage().c_str(), stdout);
    return 0;
  }
  const BenchJob job = parse_bench_job(words);
  use_kept_memory();  // as the program itself
  const c10::Device device = open_bench_device(job);
  if (job.threads > 0) at::set_num_threads(static_cast<int>(job.threads));
  if (job.what == "step") {
    time_steps(job, device);
  } else if (job.what == "rates") {
    print_rates(job, device);
  } else {
    time_encoding(job, device);
  }
  return 0;
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  sdtune::restart_with_variable("OMP_WAIT_POLICY", "passive", argv);  // as the program itself
  try {
    return sdtune::run({argv + 1, argv + argc});
  } catch (const sdtune::Error& error) {
    std::fputs(fmt::format("{} ({})\n{}\n", error.what(), error.where(), error.hint()).c_str(),
               stderr);
    return error.exit_code();
  }
}
