// What the CPU's and CUDA's implementations of the 8-bit operators share: the update as the numbers
// of an operator's call, buffers, checks and pointers. Only these implementations include it.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <tuple>
#include <vector>

#include "kernels/update_8bit_cpu.h"

namespace sdtune {

inline std::vector<double> packed_8bit(const Update8bit& u) {
  return {u.rate,
          u.beta1,
          u.beta2,
          u.beta3,
          u.alpha,
          u.eps,
          u.weight_decay,
          static_cast<double>(u.time),
          u.nesterov ? 1.0 : 0.0,
          u.gradient_scale};
}

inline Update8bit unpacked_8bit(int64_t rule, at::ArrayRef<double> n, int64_t key) {
  TORCH_CHECK(n.size() == 10 && rule >= 0 && rule <= static_cast<int64_t>(Rule8bit::kAdEMAMix),
              "sdtune::update_8bit_ knows no such rule or takes other numbers");
  return {static_cast<Rule8bit>(rule),
          n[0],
          n[1],
          n[2],
          n[3],
          n[4],
          n[5],
          n[6],
          static_cast<int64_t>(n[7]),
          n[8] != 0,
          n[9],
          static_cast<uint64_t>(key)};
}

inline std::tuple<at::Tensor, at::Tensor> empty_8bit(const at::Tensor& like) {
  const auto options = at::TensorOptions().device(like.device());
  return {at::empty(like.sizes(), options.dtype(at::kByte)),
          at::empty({blocks_8bit(like.numel())}, options.dtype(at::kFloat))};
}

inline void check_fp32_8bit(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, "8-bit states are made from fp32, not ",
              x.scalar_type());
}

inline void check_state_8bit(const at::Tensor& codes, const at::Tensor& absmax) {
  TORCH_CHECK(codes.scalar_type() == at::kByte && absmax.scalar_type() == at::kFloat &&
                  codes.is_contiguous() && absmax.is_contiguous() &&
                  absmax.numel() == blocks_8bit(codes.numel()) && codes.device() == absmax.device(),
              "an 8-bit state is contiguous uint8 codes and one fp32 scale for each 256 of them");
}

// states: codes and scales in turn; fp32 states are without scales.
inline bool are_plain(at::TensorList states) { return states[0].scalar_type() == at::kFloat; }
inline size_t tensors_of(at::TensorList states) { return are_plain(states) ? 1 : 2; }

inline void check_scale_8bit(const at::Tensor& scale, const at::Device& device) {
  TORCH_CHECK(scale.scalar_type() == at::kFloat && scale.numel() == 1 && scale.device() == device,
              "the gradients' scale is one fp32 number on the weights' device");
}

inline void check_update_8bit(const at::Tensor& weight, const at::Tensor& grad,
                              at::TensorList states, Rule8bit rule) {
  const auto type = weight.scalar_type();
  TORCH_CHECK((type == at::kFloat || type == at::kBFloat16) && grad.scalar_type() == type,
              "weights and gradients are both fp32 or both bf16, not ", type, " and ",
              grad.scalar_type());
  TORCH_CHECK(grad.sizes() == weight.sizes() && grad.device() == weight.device(), "a gradient of ",
              grad.sizes(), " does not fit weights of ", weight.sizes());
  TORCH_CHECK(!states.empty() && states.size() == tensors_of(states) * states_of(rule),
              "the rule has other states than it was given");
  for (size_t i = 0; i < states.size(); i += tensors_of(states)) {
    if (are_plain(states)) {
      check_fp32_8bit(states[i]);
      TORCH_CHECK(states[i].is_contiguous(), "fp32 states are contiguous");
    } else {
      check_state_8bit(states[i], states[i + 1]);
    }
    TORCH_CHECK(states[i].sizes() == weight.sizes() && states[i].device() == weight.device(),
                "a state of ", states[i].sizes(), " does not fit weights of ", weight.sizes());
  }
}

inline State8bit pointers_8bit(const at::Tensor& codes, const at::Tensor& absmax) {
  return {codes.mutable_data_ptr<uint8_t>(), absmax.mutable_data_ptr<float>()};
}

// The layout in which an update reads and writes weights: their own where a MemoryOrder tells it.
inline at::MemoryFormat format_8bit(const at::Tensor& weight) {
  const bool is_mapped = !weight.is_contiguous() &&
                         weight.is_contiguous(at::MemoryFormat::ChannelsLast) &&
                         weight.numel() <= kMostMapped;
  return is_mapped ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

inline MemoryOrder order_8bit(const at::Tensor& weight, at::MemoryFormat format) {
  if (format == at::MemoryFormat::Contiguous) return {};
  return {static_cast<uint32_t>(weight.size(1)),
          static_cast<uint32_t>(weight.size(2) * weight.size(3))};
}

// weight and grad lie in the format.
inline Update8bitJob job_8bit(const Update8bit& update, const at::Tensor& weight,
                              const at::Tensor& grad, at::TensorList states,
                              const std::optional<at::Tensor>& scale, at::MemoryFormat format) {
  const bool narrow = weight.scalar_type() == at::kBFloat16;
  Update8bitJob job = {.rule = update.rule,
                       .coefficients = coefficients(update),
                       .order = order_8bit(weight, format),
                       .weight = narrow ? nullptr : weight.mutable_data_ptr<float>(),
                       .grad = narrow ? nullptr : grad.const_data_ptr<float>(),
                       .narrow_weight = nullptr,
                       .narrow_grad = nullptr,
                       .rounding_key = update.rounding_key,
                       .gradient_scale = static_cast<float>(update.gradient_scale),
                       .device_scale = scale ? scale->const_data_ptr<float>() : nullptr,
                       .states = {},
                       .plain = {},
                       .count = weight.numel()};
  if (narrow) {
    job.narrow_weight = static_cast<BFloat16Bits*>(weight.mutable_data_ptr());
    job.narrow_grad = static_cast<const BFloat16Bits*>(grad.const_data_ptr());
  }
  for (size_t i = 0; i < states.size() / tensors_of(states); ++i) {
    if (are_plain(states)) {
      job.plain[i] = states[i].mutable_data_ptr<float>();
    } else {
      job.states[i] = pointers_8bit(states[2 * i], states[2 * i + 1]);
    }
  }
  return job;
}

// sdtune::update_8bit_, whose loops or launch `run` makes of a job.
template <class Run>
void update_in_place_8bit(at::Tensor& weight, const at::Tensor& grad, at::TensorList states,
                          const Update8bit& update, const std::optional<at::Tensor>& scale,
                          Run run) {
  check_update_8bit(weight, grad, states, update.rule);
  if (scale) check_scale_8bit(*scale, weight.device());
  if (weight.numel() == 0) return;
  const at::MemoryFormat format = format_8bit(weight);
  const at::Tensor dense_grad = grad.contiguous(format);
  at::Tensor dense = weight.contiguous(format);
  run(job_8bit(update, dense, dense_grad, states, scale, format));
  if (!dense.is_same(weight)) weight.copy_(dense);
}

}  // namespace sdtune
