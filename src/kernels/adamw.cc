#include "kernels/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <vector>

#include "kernels/adamw_cpu.h"
#include "kernels/tensor_chunks.h"

namespace sdtune {

namespace {

void check(const AdamWTensors& tensors) {
  const at::Tensor& weight = tensors.weight;
  TORCH_CHECK(weight.is_non_overlapping_and_dense(), "AdamW's weights are dense");
  for (const at::Tensor& tensor :
       {weight, tensors.gradient, tensors.exp_avg, tensors.exp_avg_sq, tensors.max_exp_avg_sq}) {
    if (!tensor.defined()) continue;
    TORCH_CHECK(tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat,
                "AdamW's tensors are fp32 on the CPU, not ", tensor.scalar_type(), " on ",
                tensor.device());
    TORCH_CHECK(tensor.sizes() == weight.sizes() && tensor.strides() == weight.strides(),
                "AdamW's tensors are laid out alike, not as ", tensor.sizes(), " beside ",
                weight.sizes());
  }
}

AdamWRun whole(const AdamWTensors& t) {
  return {.weight = t.weight.mutable_data_ptr<float>(),
          .gradient = t.gradient.const_data_ptr<float>(),
          .exp_avg = t.exp_avg.mutable_data_ptr<float>(),
          .exp_avg_sq = t.exp_avg_sq.mutable_data_ptr<float>(),
          .max_exp_avg_sq =
              t.max_exp_avg_sq.defined() ? t.max_exp_avg_sq.mutable_data_ptr<float>() : nullptr,
          .count = t.weight.numel()};
}

AdamWRun part(AdamWRun run, const TensorChunk& chunk) {
  run.weight += chunk.first;
  run.gradient += chunk.first;
  run.exp_avg += chunk.first;
  run.exp_avg_sq += chunk.first;
  if (run.max_exp_avg_sq != nullptr) run.max_exp_avg_sq += chunk.first;
  run.count = chunk.count;
  return run;
}

}  // namespace

void update_adamw(std::span<const AdamWTensors> tensors, const AdamWRule& rule) {
  std::vector<AdamWRun> runs;
  const AdamWNumbers numbers = adamw_numbers(rule);
  std::vector<AdamWCorrections> corrections;
  std::vector<int64_t> sizes;
  for (const AdamWTensors& each : tensors) {
    check(each);
    runs.push_back(whole(each));
    corrections.push_back(adamw_corrections(numbers, static_cast<double>(each.time)));
    sizes.push_back(runs.back().count);
  }
  const std::vector<TensorChunk> chunks = tensor_chunks(sizes);
  at::parallel_for(0, std::ssize(chunks), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const TensorChunk& chunk = chunks[i];
      adamw_cpu(part(runs[chunk.tensor], chunk), numbers, corrections[chunk.tensor]);
    }
  });
}

}  // namespace sdtune
