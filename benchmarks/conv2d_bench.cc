// Times the three products of every convolution of the SD1.5 U-Net at 256² and 512², or the results
// of those of the VAE's encoder at 512², by each way of kernels/conv2d.h, which takes the fastest
// from a table made of these figures (RESULTS.md).
//
//     sdtune-bench-conv2d [float|bfloat16|vae] [batch] [rounds] [threads]
//
// With one thread the times are processor time, which a busy machine disturbs less.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "base/system.h"
#include "kernels/conv2d.h"
#include "machine_rates.h"
#include "rivals.h"

namespace sdtune {
namespace {

struct Shape {
  int64_t in, out, side, kernel, stride;  // side: of the input
};

// 512² pictures; 256² has all sides halved.
std::vector<Shape> shapes_at(int64_t latent) {
  const int64_t s = latent, t = latent / 2, u = latent / 4, v = latent / 8;
  return {
      {4, 320, s, 3, 1},     {320, 320, s, 3, 1},   {640, 320, s, 3, 1},   {960, 320, s, 3, 1},
      {640, 640, s, 3, 1},   {320, 4, s, 3, 1},     {640, 320, s, 1, 1},   {960, 320, s, 1, 1},
      {320, 320, s, 3, 2},   {320, 640, t, 3, 1},   {640, 640, t, 3, 1},   {960, 640, t, 3, 1},
      {1280, 640, t, 3, 1},  {1920, 640, t, 3, 1},  {1280, 1280, t, 3, 1}, {320, 640, t, 1, 1},
      {960, 640, t, 1, 1},   {1280, 640, t, 1, 1},  {1920, 640, t, 1, 1},  {640, 640, t, 3, 2},
      {640, 1280, u, 3, 1},  {1280, 1280, u, 3, 1}, {1920, 1280, u, 3, 1}, {2560, 1280, u, 3, 1},
      {640, 1280, u, 1, 1},  {1920, 1280, u, 1, 1}, {2560, 1280, u, 1, 1}, {1280, 1280, u, 3, 2},
      {1280, 1280, v, 3, 1}, {2560, 1280, v, 3, 1}, {2560, 1280, v, 1, 1}};
}

// torch's way takes them with channels last, in which it is the fastest.
constexpr Shape kVaeShapes[] = {{128, 128, 512, 3, 1}, {128, 256, 256, 3, 1}, {256, 256, 256, 3, 1},
                                {256, 512, 128, 3, 1}, {512, 512, 128, 3, 1}, {512, 512, 64, 3, 1}};

struct Tensors {
  at::Tensor x, weight, bias, grad;
  int64_t stride, padding;
};

Tensors tensors_of(const Shape& shape, int64_t batch, at::ScalarType type) {
  const int64_t padding = shape.kernel / 2;
  const int64_t out = (shape.side + 2 * padding - shape.kernel) / shape.stride + 1;
  const double scale = 1 / std::sqrt(static_cast<double>(shape.in * shape.kernel * shape.kernel));
  const auto random = [&](at::IntArrayRef size, double factor) {
    return (at::randn(size) * factor).to(type);
  };
  return {random({batch, shape.in, shape.side, shape.side}, 1),
          random({shape.out, shape.in, shape.kernel, shape.kernel}, scale),
          random({shape.out}, 1),
          random({batch, shape.out, out, out}, 1),
          shape.stride,
          padding};
}

constexpr Conv2dWay kWays[] = {Conv2dWay::kTorch, Conv2dWay::kColumns, Conv2dWay::kWinograd};

enum class Product { kResult, kInputGradient, kWeightGradient };

// What is timed: one product, by one way.
std::function<void()> job(const Tensors& given, Product product, Conv2dWay way) {
  Tensors t = given;
  if (product == Product::kResult) {
    return [t, way] {
      const at::NoGradGuard frozen;
      conv2d({t.x, t.weight, t.bias, t.stride, t.padding}, {.result = way});
    };
  }
  const bool of_input = product == Product::kInputGradient;
  t.x = t.x.detach().set_requires_grad(of_input);
  t.weight = t.weight.detach().set_requires_grad(!of_input);
  const at::Tensor out = conv2d({t.x, t.weight, t.bias, t.stride, t.padding},
                                {.input_gradient = way, .weight_gradient = way});
  return [out, t, of_input] {
    torch::autograd::grad({out}, {of_input ? t.x : t.weight}, {t.grad}, /*retain_graph=*/true);
  };
}

bool takes(const Shape& shape, const Tensors& tensors, Conv2dWay way) {
  if (way == Conv2dWay::kTorch || way == Conv2dWay::kColumns) return true;
  if (tensors.x.scalar_type() != at::kFloat) return false;
  return shape.kernel == 3 && shape.stride == 1;
}

// The median time of each way, "–" where it takes no such convolution.
void print_times(const Shape& shape, const Tensors& tensors, Product product, int rounds) {
  std::vector<std::function<void()>> rivals;
  for (const Conv2dWay way : kWays) {
    if (takes(shape, tensors, way)) rivals.push_back(job(tensors, product, way));
  }
  const std::vector<double> times = medians(rivals, rounds);
  size_t next = 0;
  for (const Conv2dWay way : kWays) {
    if (takes(shape, tensors, way)) {
      std::printf(" %.2f |", times[next++]);
    } else {
      std::printf(" – |");
    }
  }
  std::fflush(stdout);
}

void print_vae_row(const Shape& shape, int64_t batch, int rounds) {
  const Tensors tensors = tensors_of(shape, batch, at::kFloat);
  Tensors last = tensors;
  last.x = last.x.contiguous(at::MemoryFormat::ChannelsLast);
  last.weight = last.weight.contiguous(at::MemoryFormat::ChannelsLast);
  const std::vector<double> times = medians({job(last, Product::kResult, Conv2dWay::kTorch),
                                             job(tensors, Product::kResult, Conv2dWay::kTorch),
                                             job(tensors, Product::kResult, Conv2dWay::kWinograd)},
                                            rounds);
  std::printf("| %ld→%ld @ %ld² | %.1f | %.1f | %.1f |\n", shape.in, shape.out, shape.side,
              times[0], times[1], times[2]);
  std::fflush(stdout);
}

void print_vae(int64_t batch, int rounds) {
  std::printf(
      "| convolution, batch %ld | torch, channels last | torch | Winograd |\n"
      "| --- | --: | --: | --: |\n",
      batch);
  for (const Shape& shape : kVaeShapes) print_vae_row(shape, batch, rounds);
}

void print_row(const Shape& shape, const Tensors& tensors, int rounds) {
  const double gflop = 2e-9 * static_cast<double>(tensors.weight.numel() * tensors.grad.numel()) /
                       static_cast<double>(shape.out);
  std::printf("| %ld→%ld @ %ld², %ldx%ld%s | %.2f |", shape.in, shape.out, shape.side, shape.kernel,
              shape.kernel, shape.stride == 2 ? ", stride 2" : "", gflop);
  for (const Product product :
       {Product::kResult, Product::kInputGradient, Product::kWeightGradient}) {
    print_times(shape, tensors, product, rounds);
  }
  std::printf("\n");
}

void print_machine(at::ScalarType type) {
  std::printf("%s, threads: %d, GEMM of 2048³ in %s %.0f GFLOP/s, copies at %.1f GB/s\n\n",
              processor_name().c_str(), at::get_num_threads(), c10::toString(type),
              1e-9 * product_rate(at::kCPU, type, /*tiny=*/false), 1e-9 * copy_rate(at::kCPU));
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  using namespace sdtune;
  const std::string what = argc > 1 ? argv[1] : "float";
  const auto type = what == "bfloat16" ? at::kBFloat16 : at::kFloat;
  const int64_t batch = argc > 2 ? std::stol(argv[2]) : 1;
  const int rounds = argc > 3 ? std::stoi(argv[3]) : 7;
  // Freed memory stays with the process: the figures hold no page faults.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  at::set_num_threads(argc > 4 ? std::stoi(argv[4]) : 1);
  print_machine(type);
  if (what == "vae") {
    print_vae(batch, rounds);
    return 0;
  }
  std::printf(
      "| convolution, batch %ld | GFLOP | result: torch | columns | Winograd "
      "| input: torch | columns | Winograd | weight: torch | columns | Winograd |\n"
      "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
      batch);
  std::vector<Shape> shapes = shapes_at(32);
  for (const Shape& shape : shapes_at(64)) {
    const auto same = [&](const Shape& other) {
      return std::tie(shape.in, shape.out, shape.side, shape.kernel, shape.stride) ==
             std::tie(other.in, other.out, other.side, other.kernel, other.stride);
    };
    if (std::none_of(shapes.begin(), shapes.end(), same)) shapes.push_back(shape);
  }
  for (const Shape& shape : shapes) print_row(shape, tensors_of(shape, batch, type), rounds);
  return 0;
}
