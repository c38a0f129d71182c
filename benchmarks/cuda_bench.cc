// Times the operators that CUDA has of its own against torch's at the sizes of Stable Diffusion
// 1.5, in turns, and prints the median of each. On a machine with a GPU, whose figures belong in
// RESULTS.md: an operator stays only while it wins.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>

#include "base/error.h"
#include "bench_device.h"
#include "kernels/adamw_device.h"
#include "kernels/group_norm_device.h"
#include "kernels/square_sum.h"

namespace sdtune {

namespace {

constexpr int kRounds = 15;
constexpr int kWarmRounds = 3;
constexpr int kTimesInRound = 10;

using Work = std::function<void()>;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void compare(const std::string& title, const Work& ours, const Work& theirs) {
  LapClock clock({c10::kCUDA, 0});
  std::array<std::vector<double>, 2> times;
  for (int round = 0; round < kWarmRounds + kRounds; ++round) {
    for (const size_t which : {size_t(round % 2), size_t(1 - round % 2)}) {
      clock.lap();
      for (int i = 0; i < kTimesInRound; ++i) which == 0 ? ours() : theirs();
      const double seconds = clock.lap() / kTimesInRound;
      if (round >= kWarmRounds) times[which].push_back(seconds * 1e3);
    }
  }
  const double own = median(times[0]), torch = median(times[1]);
  fmt::print("{:<46} sdtune {:8.3f} ms  torch {:8.3f} ms  {:.2f} times faster\n", title, own, torch,
             torch / own);
}

// A third of the U-Net's weights in tensors as small and as large as its own.
AdamWLists many_weights() {
  AdamWLists lists;
  const auto options = at::TensorOptions(at::kFloat).device(at::kCUDA);
  for (int64_t i = 0; i < 400; ++i) {
    const at::Tensor weight =
        i % 20 == 0 ? at::randn({1280, 1280, 3, 3}, options) : at::randn({320}, options);
    lists.weights.push_back(weight);
    lists.gradients.push_back(at::randn_like(weight));
    lists.exp_avg.push_back(at::zeros_like(weight));
    lists.exp_avg_sq.push_back(at::zeros_like(weight));
    lists.times.push_back(at::zeros({}, options));
  }
  return lists;
}

void compare_updates() {
  const AdamWLists lists = many_weights();
  const at::Tensor scale = at::full({}, 0.5, at::TensorOptions(at::kFloat).device(at::kCUDA));
  compare(
      "AdamW, gradients scaled, 295 million weights",
      [&] { update_adamw_on_device(lists, {}, scale); },
      [&] {
        at::_foreach_mul_(lists.gradients, scale);
        at::_foreach_add_(lists.times, 1);
        at::_fused_adamw_(lists.weights, lists.gradients, lists.exp_avg, lists.exp_avg_sq, {},
                          lists.times, 1e-3, 0.9, 0.999, 0.01, 1e-8, false, false);
      });
  compare(
      "norm of gradients, 295 million weights",
      [&] { square_sum_on_device(lists.gradients).sqrt(); },
      [&] { at::linalg_vector_norm(at::stack(at::_foreach_norm(lists.gradients, 2))); });
}

void compare_group_norm(const std::array<int64_t, 4>& shape, at::ScalarType type,
                        at::MemoryFormat layout) {
  const auto options = at::TensorOptions(at::kFloat).device(at::kCUDA);
  const auto picture = [&] { return at::randn(shape, options).to(type).contiguous(layout); };
  const at::Tensor x = picture().requires_grad_(true), grad = picture();
  const at::Tensor weight = at::randn({shape[1]}, options).requires_grad_(true);
  const at::Tensor bias = at::randn({shape[1]}, options).requires_grad_(true);
  const auto backward = [&](const at::Tensor& out) {
    torch::autograd::grad({out}, {x, weight, bias}, {grad});
  };
  compare(
      fmt::format("group norm and SiLU, {}x{}x{}², {}, {}", shape[0], shape[1], shape[2],
                  c10::toString(type),
                  layout == at::MemoryFormat::Contiguous ? "contiguous" : "channels last"),
      [&] {
        backward(group_norm_on_device({x, 32, weight, bias, 1e-5, true}));
      },
      [&] { backward(at::silu(at::group_norm(x, 32, weight.to(type), bias.to(type), 1e-5))); });
}

void compare_all() {
  compare_updates();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const auto layout : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      for (const auto& [batch, channels, side] : {std::array<int64_t, 3>{1, 320, 64},
                                                  {4, 320, 64},
                                                  {4, 960, 32},
                                                  {4, 1280, 8},
                                                  {1, 128, 512}}) {
        compare_group_norm({batch, channels, side, side}, type, layout);
      }
    }
  }
}

}  // namespace

}  // namespace sdtune

int main() {
  try {
    sdtune::open_bench_device({.cuda = true});
    sdtune::compare_all();
    return EXIT_SUCCESS;
  } catch (const sdtune::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
