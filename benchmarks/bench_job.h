// What one run of sdtune-bench is to do. A small command line of its own, because the program is
// built where the project's options are not.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sdtune {

enum class BenchPrecision { kFp32, kBf16, kFullBf16 };

struct BenchJob {
  std::string what;     // "step", "vae", "text" or "rates"
  int64_t width = 512;  // of the pictures, in pixels
  int64_t height = 512;
  int64_t batch = 1;
  int64_t tokens = 77;
  int64_t steps = 3;    // timed ones; others run before them
  int64_t threads = 0;  // 0: torch's own choice
  BenchPrecision precision = BenchPrecision::kFp32;
  std::string optimizer = "AdamW";
  bool fused_backward = false;
  bool checkpointing = false;
  bool cuda_graphs = false;  // the passes as one graph, told as backward
  bool profile = false;
  bool tiny = false;  // models of a few thousand weights, to try the program out
  bool cuda = false;
  bool sd2 = false;  // the U-Net of Stable Diffusion 2

  // Weights of what is trained, and the arithmetic; bf16 computes in fp32 on processors that lack
  // it, as in training.
  at::ScalarType weight_type() const;
  at::ScalarType compute_type() const;
  // Steps until each further one does the same: with graphs the second records them.
  int64_t steps_before() const { return cuda_graphs ? 2 : 1; }
};

// Words after the program's name. UsageError names the word that is wrong.
BenchJob parse_bench_job(const std::vector<std::string>& words);

std::string bench_usage();

}  // namespace sdtune
