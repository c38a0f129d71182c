// Times each operator of src/kernels against torch's composite at the sizes of Stable Diffusion 1.5
// and 512² pictures, forward and backward together. An operator stays only while it wins; the
// figures are in RESULTS.md.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <torch/csrc/autograd/autograd.h>

#include <array>

#include "base/block_range.h"
#include "base/system.h"
#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/geglu.h"
#include "kernels/group_norm.h"
#include "kernels/group_norm_planes.h"
#include "kernels/optimizer_8bit.h"
#include "kernels/square_sum.h"

namespace sdtune {
namespace {

at::Tensor composite(const at::Tensor& x) {
  const auto halves = x.chunk(2, -1);
  return halves[0] * at::gelu(halves[1]);
}

size_t allocated_bytes() {
  const auto memory = ::mallinfo2();
  return memory.uordblks + memory.hblkhd;
}

struct Case {
  const char* name;
  at::Tensor (*function)(const at::Tensor&);
  at::ScalarType type;
  int64_t rows;
  int64_t width;  // of the input: twice the output's
};

void forward_and_backward(benchmark::State& state, const Case& job) {
  const at::Tensor x = at::randn({job.rows, job.width}).to(job.type).set_requires_grad(true);
  const at::Tensor grad = at::randn({job.rows, job.width / 2}).to(job.type);
  size_t kept = 0;
  for (auto _ : state) {
    const size_t before = allocated_bytes();
    const at::Tensor out = job.function(x);
    kept = allocated_bytes() - before;
    benchmark::DoNotOptimize(torch::autograd::grad({out}, {x}, {grad}));
  }
  state.counters["kept_MB"] = static_cast<double>(kept) / 1e6;  // from forward until backward
}

// One step of an optimizer with 8-bit states: in one pass, and as a composite,
// one torch operator after the other.
struct Step8bit {
  Rule8bit rule;
  int64_t count;
  bool fused;
};

at::Tensor values_of(bool is_signed) {
  const auto& values = dynamic_code(is_signed).values;
  return at::tensor(at::ArrayRef<float>(values.data(), values.size()));
}

at::Tensor read_by_torch(const Quantized8bit& state, const at::Tensor& values) {
  const at::Tensor normalized = values.index_select(0, state.codes.to(at::kInt));
  return normalized.view({-1, kBlock8bit}).mul_(state.absmax.unsqueeze(1)).flatten();
}

void write_by_torch(const at::Tensor& x, const at::Tensor& values, Quantized8bit& state) {
  const at::Tensor blocks = x.view({-1, kBlock8bit});
  state.absmax = blocks.abs().amax(1);
  const at::Tensor borders = (values.slice(0, 1) + values.slice(0, 0, 255)) / 2;
  const at::Tensor normalized = blocks / state.absmax.clamp_min(1e-38).unsqueeze(1);
  state.codes = at::bucketize(normalized.flatten(), borders, /*out_int32=*/true).to(at::kByte);
}

void adamw_by_torch(at::Tensor& weight, const at::Tensor& grad, std::vector<Quantized8bit>& states,
                    const at::Tensor& step) {
  const at::Tensor first = values_of(true), second = values_of(false);
  at::Tensor m = read_by_torch(states[0], first), v = read_by_torch(states[1], second);
  at::_fused_adamw_(weight, grad, m, v, {}, step, 1e-3, 0.9, 0.999, 0.01, 1e-8, false, false);
  write_by_torch(m, first, states[0]);
  write_by_torch(v, second, states[1]);
}

void lion_by_torch(at::Tensor& weight, const at::Tensor& grad, std::vector<Quantized8bit>& states) {
  const at::Tensor values = values_of(true);
  at::Tensor m = read_by_torch(states[0], values);
  weight.sub_(m.mul(0.9).add_(grad, 0.1).sign_(), 1e-4);
  write_by_torch(m.mul_(0.99).add_(grad, 0.01), values, states[0]);
}

void step_8bit(benchmark::State& state, const Step8bit& job) {
  at::Tensor weight = at::randn({job.count});
  const at::Tensor grad = at::randn({job.count}) * 0.01, step = at::ones({});
  std::vector<Quantized8bit> states;
  for (int s = 0; s < states_of(job.rule); ++s) {
    states.push_back(zeros_8bit(weight, state_is_signed(job.rule, s)));
  }
  for (auto _ : state) {
    if (job.fused) {
      update_8bit(weight, grad, states, {.rule = job.rule});
    } else if (job.rule == Rule8bit::kAdam) {
      adamw_by_torch(weight, grad, states, step);
    } else {
      lion_by_torch(weight, grad, states);
    }
  }
  const auto parameters = static_cast<double>(job.count);
  state.counters["for_1e9"] =
      benchmark::Counter(parameters * 1e-9, benchmark::Counter::kIsIterationInvariantRate |
                                                benchmark::Counter::kInvert);
}

void register_8bit() {
  for (const Rule8bit rule : {Rule8bit::kAdam, Rule8bit::kLion}) {
    for (const int64_t count : {1280 * 1280, 1280 * 1280 * 9}) {
      for (const bool fused : {true, false}) {
        const Step8bit job = {rule, count, fused};
        const std::string title = std::string(rule == Rule8bit::kAdam ? "adamw" : "lion") +
                                  "_8bit/" + std::to_string(count) + (fused ? "/sdtune" : "/torch");
        benchmark::RegisterBenchmark(title.c_str(),
                                     [job](benchmark::State& state) { step_8bit(state, job); })
            ->MeasureProcessCPUTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

void register_all() {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto& [rows, width] : {std::pair{4096, 2560}, {1024, 5120}, {256, 10240}}) {
      for (const auto& [name, function] : {std::pair{"sdtune", &geglu}, {"torch", &composite}}) {
        const Case job = {name, function, type, rows, width};
        const std::string title = std::string("geglu/") + c10::toString(type) + "/" +
                                  std::to_string(rows) + "x" + std::to_string(width) + "/" + name;
        benchmark::RegisterBenchmark(
            title.c_str(), [job](benchmark::State& state) { forward_and_backward(state, job); })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

// The VAE's encoder at 512²: forward only, as it is used.
void register_group_norms() {
  for (const auto& [channels, side] : {std::pair{128, 512}, {256, 256}, {512, 64}}) {
    for (const bool ours : {true, false}) {
      const std::string title = "group_norm_silu/" + std::to_string(channels) + "x" +
                                std::to_string(side) + (ours ? "/sdtune" : "/torch");
      benchmark::RegisterBenchmark(
          title.c_str(),
          [=, channels = channels, side = side](benchmark::State& state) {
            const at::Tensor x =
                at::randn({1, channels, side, side}).contiguous(at::MemoryFormat::ChannelsLast);
            const at::Tensor weight = at::randn({channels}), bias = at::randn({channels});
            for (auto _ : state) {
              benchmark::DoNotOptimize(
                  ours ? group_norm_channels_last({x, 32, weight, bias, 1e-6, true})
                       : at::silu(at::group_norm(x, 32, weight, bias, 1e-6)));
            }
          })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

// The U-Net's at 256² and 512² as it trains: contiguous, forward and backward.
void register_trained_group_norms() {
  using Shape = std::array<int64_t, 4>;
  for (const Shape& shape :
       {Shape{1, 320, 64, 64}, {1, 960, 32, 32}, {1, 640, 16, 16}, {1, 2560, 8, 8}}) {
    for (const bool ours : {true, false}) {
      const std::string title = "trained_group_norm_silu/" + std::to_string(shape[1]) + "x" +
                                std::to_string(shape[2]) + (ours ? "/sdtune" : "/torch");
      benchmark::RegisterBenchmark(
          title.c_str(),
          [=](benchmark::State& state) {
            const at::Tensor x = at::randn(shape).requires_grad_(true), grad = at::randn(shape);
            const at::Tensor weight = at::randn({shape[1]}).requires_grad_(true);
            const at::Tensor bias = at::randn({shape[1]}).requires_grad_(true);
            for (auto _ : state) {
              const at::Tensor out = ours ? group_norm_planes({x, 32, weight, bias, 1e-5, true})
                                          : at::silu(at::group_norm(x, 32, weight, bias, 1e-5));
              benchmark::DoNotOptimize(torch::autograd::grad({out}, {x, weight, bias}, {grad}));
            }
          })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

struct AttentionCase {
  int64_t queries, keys, heads, width;
};

at::Tensor attention_by_torch(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return at::scaled_dot_product_attention(q, k, v);
}

// The U-Net's at 512² and, the first, the VAE's.
void register_attention() {
  for (const AttentionCase& c : {AttentionCase{4096, 4096, 1, 512},
                                 {4096, 4096, 8, 40},
                                 {4096, 77, 8, 40},
                                 {1024, 1024, 8, 80},
                                 {1024, 77, 8, 80},
                                 {256, 256, 8, 160},
                                 {64, 77, 8, 160},
                                 {4096, 4096, 5, 64}}) {
    for (const bool trained : {false, true}) {
      for (const bool ours : {true, false}) {
        const std::string title = std::string(trained ? "trained_attention/" : "attention/") +
                                  std::to_string(c.queries) + "x" + std::to_string(c.keys) + "/" +
                                  std::to_string(c.heads) + "x" + std::to_string(c.width) +
                                  (ours ? "/sdtune" : "/torch");
        benchmark::RegisterBenchmark(
            title.c_str(),
            [=](benchmark::State& state) {
              const auto draw = [&](int64_t rows) {
                return at::randn({1, rows, c.heads, c.width}).transpose(1, 2);
              };
              const at::Tensor grad = draw(c.queries);
              std::vector<at::Tensor> leaves = {draw(c.queries), draw(c.keys), draw(c.keys)};
              for (at::Tensor& leaf : leaves) leaf.set_requires_grad(trained);
              const auto attend = ours ? attention : attention_by_torch;
              for (auto _ : state) {
                const at::Tensor out = attend(leaves[0], leaves[1], leaves[2]);
                if (trained) torch::autograd::grad({out}, leaves, {grad});
              }
              const double flops =
                  (trained ? 12.0 : 4.0) * static_cast<double>(grad.numel() * c.keys);
              state.counters["GFLOP/s"] =
                  benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
            })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

// Clipping and AdamW over tensors like a fifth of the U-Net's, in the memory that training has.
class OptimizerStep {
 public:
  OptimizerStep() {
    for (const auto& [count, size] :
         {std::pair{4, 1280 * 1280 * 9}, {40, 1280 * 1280}, {100, 640 * 640}, {300, 1280}}) {
      for (int i = 0; i < count; ++i) {
        AdamWTensors each;
        for (at::Tensor* t : {&each.weight, &each.gradient, &each.exp_avg, &each.exp_avg_sq}) {
          *t = at::from_blob(memory_.take(4 * size), {size}).zero_();
        }
        each.gradient.fill_(1e-3);
        gradients_.push_back(each.gradient);
        weights_.push_back(each.weight);
        exp_avg_.push_back(each.exp_avg);
        exp_avg_sq_.push_back(each.exp_avg_sq);
        times_.push_back(at::ones({}));
        tensors_.push_back(std::move(each));
      }
    }
  }

  void norm_by_torch() { norm_ = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients_))); }
  void clip_by_torch() { at::_foreach_mul_(gradients_, (1.0 / (norm_ + 1e-6)).clamp_max(1)); }
  void update_by_torch() {
    at::_fused_adamw_(weights_, gradients_, exp_avg_, exp_avg_sq_, {}, times_, 1e-5, 0.9, 0.999,
                      0.01, 1e-8, false, false);
  }
  void norm() { benchmark::DoNotOptimize(square_sum(gradients_)); }
  void update() { update_adamw(tensors_, {.gradient_scale = 0.99}); }

 private:
  BlockRange memory_{uint64_t{8} << 30};
  std::vector<AdamWTensors> tensors_;
  std::vector<at::Tensor> gradients_, weights_, exp_avg_, exp_avg_sq_, times_;
  at::Tensor norm_;
};

void register_optimizer_steps() {
  using Part = void (*)(OptimizerStep&);
  const auto add = [](const char* name, Part part) {
    benchmark::RegisterBenchmark(name,
                                 [part](benchmark::State& state) {
                                   static OptimizerStep step;
                                   for (auto _ : state) part(step);
                                 })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  add("gradient_norm/sdtune", [](OptimizerStep& s) { s.norm(); });
  add("gradient_norm/torch", [](OptimizerStep& s) { s.norm_by_torch(); });
  add("adamw/sdtune", [](OptimizerStep& s) { s.update(); });
  add("adamw/torch", [](OptimizerStep& s) { s.update_by_torch(); });
  add("clip_and_adamw/sdtune", [](OptimizerStep& s) {
    s.norm();
    s.update();
  });
  add("clip_and_adamw/torch", [](OptimizerStep& s) {
    s.norm_by_torch();
    s.clip_by_torch();
    s.update_by_torch();
  });
}

}  // namespace
}  // namespace sdtune

// Rivals alternate, so that a busy neighbour slows both. Flags given on the command line come last
// and win.
int main(int argc, char** argv) {
  std::vector<std::string> flags = {argv[0], "--benchmark_enable_random_interleaving=true",
                                    "--benchmark_repetitions=9", "--benchmark_min_time=0.2",
                                    "--benchmark_report_aggregates_only=true"};
  flags.insert(flags.end(), argv + 1, argv + argc);
  std::vector<char*> pointers;
  for (std::string& flag : flags) pointers.push_back(flag.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
  benchmark::AddCustomContext("processor", sdtune::processor_name());
  benchmark::AddCustomContext("torch_threads", std::to_string(at::get_num_threads()));
  // Freed memory stays with the process, as in training: the figures hold no page faults.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  sdtune::register_all();
  sdtune::register_group_norms();
  sdtune::register_trained_group_norms();
  sdtune::register_attention();
  sdtune::register_8bit();
  sdtune::register_optimizer_steps();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
