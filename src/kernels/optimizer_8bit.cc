#include "kernels/optimizer_8bit.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "base/error.h"
#include "kernels/optimizer_8bit_call.h"

namespace sdtune {

namespace {

// Blocks below which one more thread costs more than it saves.
constexpr int64_t kGrain = 64;

// Calls use(first element, elements, blocks before) for each thread's share.
template <class Use>
void over_blocks(int64_t count, Use use) {
  at::parallel_for(0, blocks_8bit(count), kGrain, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kBlock8bit;
    use(first, std::min(count, end * kBlock8bit) - first, begin);
  });
}

std::tuple<at::Tensor, at::Tensor> quantize_on_cpu(const at::Tensor& x, bool is_signed) {
  check_fp32_8bit(x);
  const at::Tensor dense = x.contiguous();
  auto [codes, absmax] = empty_8bit(x);
  const State8bit out = pointers_8bit(codes, absmax);
  const float* from = dense.const_data_ptr<float>();
  over_blocks(x.numel(), [&](int64_t first, int64_t count, int64_t block) {
    quantize_8bit_cpu(from + first, count, is_signed, {out.codes + first, out.absmax + block});
  });
  return {codes, absmax};
}

at::Tensor dequantize_on_cpu(const at::Tensor& codes, const at::Tensor& absmax, bool is_signed) {
  check_state_8bit(codes, absmax);
  at::Tensor out = at::empty(codes.sizes(), codes.options().dtype(at::kFloat));
  const State8bit state = pointers_8bit(codes, absmax);
  float* to = out.mutable_data_ptr<float>();
  over_blocks(codes.numel(), [&](int64_t first, int64_t count, int64_t block) {
    dequantize_8bit_cpu({state.codes + first, state.absmax + block}, count, is_signed, to + first);
  });
  return out;
}

void update_on_cpu(at::Tensor& weight, const at::Tensor& grad, at::TensorList states, int64_t rule,
                   at::ArrayRef<double> numbers, int64_t key,
                   const std::optional<at::Tensor>& scale) {
  const auto run = [](const Update8bitJob& job) {
    at::parallel_for(0, blocks_8bit(job.count), kGrain,
                     [&](int64_t begin, int64_t end) { update_8bit_cpu(job, begin, end); });
  };
  update_in_place_8bit(weight, grad, states, unpacked_8bit(rule, numbers, key), scale, run);
}

template <class Signature>
auto find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(sdtune, m) {
  m.def("quantize_8bit(Tensor x, bool is_signed) -> (Tensor, Tensor)");
  m.def("dequantize_8bit(Tensor codes, Tensor absmax, bool is_signed) -> Tensor");
  m.def(
      "update_8bit_(Tensor(a!) weight, Tensor grad, Tensor(b!)[] states, int rule, "
      "float[] numbers, int key, Tensor? scale) -> ()");
}

TORCH_LIBRARY_IMPL(sdtune, CPU, m) {
  m.impl("quantize_8bit", quantize_on_cpu);
  m.impl("dequantize_8bit", dequantize_on_cpu);
  m.impl("update_8bit_", update_on_cpu);
}

Quantized8bit zeros_8bit(const at::Tensor& like, bool is_signed) {
  auto [codes, absmax] = empty_8bit(like);
  codes.fill_(static_cast<int64_t>(dynamic_code(is_signed).zero));
  absmax.zero_();
  return {codes, absmax};
}

Quantized8bit quantize_8bit(const at::Tensor& x, bool is_signed) {
  static const auto op = find_operator<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, bool)>(
      "sdtune::quantize_8bit");
  auto [codes, absmax] = op.call(x, is_signed);
  return {codes, absmax};
}

at::Tensor dequantize_8bit(const Quantized8bit& state, bool is_signed) {
  static const auto op = find_operator<at::Tensor(const at::Tensor&, const at::Tensor&, bool)>(
      "sdtune::dequantize_8bit");
  return op.call(state.codes, state.absmax, is_signed);
}

void update_8bit(at::Tensor& weight, const at::Tensor& grad, std::vector<Quantized8bit>& states,
                 const Update8bit& update, const at::Tensor& scale) {
  using Signature = void(at::Tensor&, const at::Tensor&, at::TensorList, int64_t,
                         at::ArrayRef<double>, int64_t, const std::optional<at::Tensor>&);
  static const auto op = find_operator<Signature>("sdtune::update_8bit_");
  std::vector<at::Tensor> flat;
  for (const Quantized8bit& state : states) {
    flat.push_back(state.codes);
    if (state.absmax.defined()) flat.push_back(state.absmax);
  }
  const at::NoGradGuard no_grad;
  op.call(weight, grad, flat, static_cast<int64_t>(update.rule), packed_8bit(update),
          static_cast<int64_t>(update.rounding_key),
          scale.defined() ? std::optional(scale) : std::nullopt);
}

}  // namespace sdtune
