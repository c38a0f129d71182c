// Times the three products of the linear layers of SD1.5's U-Net at 256² and 512², and of its text
// encoder, by torch, by oneDNN (results alone) and by kernels/gemm.h; kernels/linear.cc takes the
// faster from a table made of these figures (RESULTS.md).
//
//     sdtune-bench-linear [rounds] [threads]
//
// Each figure is GFLOP/s; with one thread, of processor time.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <malloc.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/system.h"
#include "kernels/linear.h"
#include "rivals.h"

namespace sdtune {
namespace {

struct Shape {
  int64_t rows, in, out;
};

// Tokens and channels of the levels at both sizes, then those of the text.
std::vector<Shape> shapes() {
  constexpr int64_t kText = 77, kWidth = 768;
  std::vector<Shape> result;
  for (const auto& [rows, channels] :
       std::initializer_list<std::pair<int64_t, int64_t>>{{16, 1280},
                                                          {64, 1280},
                                                          {256, 640},
                                                          {256, 1280},
                                                          {1024, 320},
                                                          {1024, 640},
                                                          {4096, 320}}) {
    result.push_back({rows, channels, channels});
    result.push_back({rows, channels, 8 * channels});
    result.push_back({rows, 4 * channels, channels});
  }
  for (const int64_t out : {320, 640, 1280, 768, 3072}) result.push_back({kText, kWidth, out});
  result.push_back({kText, 3072, kWidth});
  result.push_back({1, 320, 1280});
  result.push_back({1, 1280, 1280});
  return result;
}

struct Tensors {
  at::Tensor x, weight, bias, grad;
};

Tensors tensors_of(const Shape& shape) {
  return {at::randn({shape.rows, shape.in}),
          at::randn({shape.out, shape.in}) / std::sqrt(static_cast<double>(shape.in)),
          at::randn({shape.out}), at::randn({shape.rows, shape.out})};
}

std::function<void()> result_job(const Tensors& t, LinearWay way) {
  return [t, way] {
    const at::NoGradGuard frozen;
    linear({t.x, t.weight, t.bias}, way);
  };
}

std::function<void()> onednn_job(const Tensors& t) {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                            std::string_view, Scalars, std::optional<std::string_view>)>();
  return [t, op] {
    const at::NoGradGuard frozen;
    op.call(t.x, t.weight, t.bias, "none", Scalars(), "");
  };
}

std::function<void()> gradient_job(Tensors t, bool of_input, LinearWay way) {
  t.x = t.x.detach().set_requires_grad(of_input);
  t.weight = t.weight.detach().set_requires_grad(!of_input);
  const at::Tensor out = linear({t.x, t.weight, t.bias}, way);
  return [out, t, of_input] {
    torch::autograd::grad({out}, {of_input ? t.x : t.weight}, {t.grad}, /*retain_graph=*/true);
  };
}

void print_row(const Shape& shape, int rounds) {
  const Tensors t = tensors_of(shape);
  const double gflop = 2e-9 * static_cast<double>(shape.rows * shape.in * shape.out);
  std::printf("| %ld | %ld→%ld |", shape.rows, shape.in, shape.out);
  const auto print_rates = [&](const std::vector<std::function<void()>>& rivals) {
    for (const double time : medians(rivals, rounds)) std::printf(" %.0f |", 1e3 * gflop / time);
    std::fflush(stdout);
  };
  print_rates({result_job(t, LinearWay::kTorch), onednn_job(t), result_job(t, LinearWay::kGemm)});
  for (const bool of_input : {true, false}) {
    print_rates({gradient_job(t, of_input, LinearWay::kTorch),
                 gradient_job(t, of_input, LinearWay::kGemm)});
  }
  std::printf("\n");
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  using namespace sdtune;
  const int rounds = argc > 1 ? std::stoi(argv[1]) : 7;
  // Freed memory stays with the process: the figures hold no page faults.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  at::set_num_threads(argc > 2 ? std::stoi(argv[2]) : 1);
  std::printf("%s, threads: %d\n\n", processor_name().c_str(), at::get_num_threads());
  std::printf(
      "| rows | layer | result: torch | oneDNN | gemm | input: torch | gemm | weight: torch | gemm "
      "|\n| --: | --- | --: | --: | --: | --: | --: | --: | --: |\n");
  for (const Shape& shape : shapes()) print_row(shape, rounds);
  return 0;
}
