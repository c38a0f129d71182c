#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention_cpu.h"
#include "kernels/gemm.h"
#include "kernels/gradient_recording.h"
#include "kernels/grain.h"
#include "kernels/recorded.h"

namespace sdtune {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kOperator = "sdtune::attention";
constexpr const char* kBackwardOperator = "sdtune::attention_backward";

// What threads share of a head's queries in the forward pass. Each call lays out the head's values
// anew.
constexpr int64_t kSharedQueries = 512;

at::Tensor rows_side_by_side(const at::Tensor& t) {
  return t.stride(-1) == 1 || t.size(-1) == 1 ? t : t.contiguous();
}

// Laid out so that heads join without a copy.
at::Tensor empty_heads(const at::Tensor& like) {
  const int64_t heads = like.size(1), rows = like.size(2), width = like.size(3);
  return at::empty_strided(like.sizes(), {rows * heads * width, width, heads * width, 1},
                           like.options());
}

// The head that is the `index`th of all pictures' heads.
template <class T>
HeadRows<T> head(const at::Tensor& t, T* data, int64_t index) {
  const int64_t heads = t.size(1);
  return {data + index / heads * t.stride(0) + index % heads * t.stride(1), t.stride(2)};
}
HeadRows<const float> head(const at::Tensor& t, int64_t index) {
  return head(t, t.const_data_ptr<float>(), index);
}
HeadRows<float> writable_head(const at::Tensor& t, int64_t index) {
  return head(t, t.mutable_data_ptr<float>(), index);
}

HeadSizes sizes_of(const at::Tensor& q, const at::Tensor& k) {
  const int64_t width = q.size(3);
  return {q.size(2), k.size(2), width,
          static_cast<float>(1 / std::sqrt(static_cast<double>(width)))};
}

// For pieces of so many queries.
int64_t grain_of(const HeadSizes& sizes, int64_t queries) {
  return grain_for(queries * sizes.keys * sizes.width);
}

at::Tensor memory_for(int64_t floats, const at::Tensor& like) {
  return at::empty({floats}, like.options());
}

struct Result {
  at::Tensor out, log_sums;  // [B, heads, queries, width], [B, heads, queries]
};

Result attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const Result result = {empty_heads(q), at::empty({q.size(0), q.size(1), q.size(2)}, q.options())};
  const HeadSizes whole = sizes_of(q, k);
  float* const log_sums = result.log_sums.mutable_data_ptr<float>();
  const int64_t parts = (whole.queries + kSharedQueries - 1) / kSharedQueries;
  const int64_t all = q.size(0) * q.size(1) * parts;
  const int64_t grain = grain_of(whole, std::min(kSharedQueries, whole.queries));
  at::parallel_for(0, all, grain, [&](int64_t begin, int64_t end) {
    const at::Tensor memory = memory_for(attention_forward_scratch(whole), q);
    while (begin < end) {  // what this thread has of one head at a time
      const int64_t index = begin / parts;
      const int64_t last = std::min(end, (index + 1) * parts);
      const int64_t first = (begin - index * parts) * kSharedQueries;
      AttentionForward call = {whole,
                               head(q, index),
                               head(k, index),
                               head(v, index),
                               writable_head(result.out, index),
                               log_sums + index * whole.queries + first};
      call.sizes.queries = std::min(whole.queries, (last - index * parts) * kSharedQueries) - first;
      call.q.data += first * call.q.step;
      call.out.data += first * call.out.step;
      attention_forward_cpu(call, memory.mutable_data_ptr<float>());
      begin = last;
    }
  });
  return result;
}

struct Kept {
  const at::Tensor &q, &k, &v, &out, &log_sums;
};

variable_list gradients_of(const at::Tensor& grad, const Kept& kept) {
  variable_list grads = {empty_heads(kept.q), empty_heads(kept.k), empty_heads(kept.v)};
  const HeadSizes sizes = sizes_of(kept.q, kept.k);
  const int64_t all = kept.q.size(0) * kept.q.size(1);
  at::parallel_for(0, all, grain_of(sizes, sizes.queries), [&](int64_t begin, int64_t end) {
    const auto& [q, k, v, out, log_sums] = kept;
    const at::Tensor memory = memory_for(attention_backward_scratch(sizes), q);
    for (int64_t i = begin; i < end; ++i) {
      attention_backward_cpu(
          {sizes, head(grad, i), head(q, i), head(k, i), head(v, i), head(out, i),
           log_sums.const_data_ptr<float>() + i * sizes.queries, writable_head(grads[0], i),
           writable_head(grads[1], i), writable_head(grads[2], i)},
          memory.mutable_data_ptr<float>());
    }
  });
  return grads;
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v) {
    Result result;
    const at::Tensor out = recorded(kOperator, {q, k, v}, [&] {
      result = attend(q, k, v);
      return result.out;
    });
    context->save_for_backward({q, k, v, out, result.log_sums});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative("attention", kOperator, {grads[0], saved[0], saved[1], saved[2]});
    const at::Tensor grad = rows_side_by_side(grads[0]);
    variable_list result;
    recorded(kBackwardOperator, {grad, saved[0], saved[1], saved[2]}, [&] {
      result = gradients_of(grad, {saved[0], saved[1], saved[2], saved[3], saved[4]});
      return result[0];
    });
    return result;
  }
};

}  // namespace

bool has_own_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto fits = [&](const at::Tensor& t) {
    return is_float_on_cpu(t) && t.dim() == 4 && t.numel() > 0 && t.size(0) == q.size(0) &&
           t.size(1) == q.size(1) && t.size(3) == q.size(3);
  };
  return gemm_is_fast() && fits(q) && fits(k) && fits(v) && k.size(2) == v.size(2);
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!has_own_attention(q, k, v)) return at::scaled_dot_product_attention(q, k, v);
  const at::Tensor rows_q = rows_side_by_side(q), rows_k = rows_side_by_side(k);
  const at::Tensor rows_v = rows_side_by_side(v);
  if (is_recorded({q, k, v})) return AttentionFunction::apply(rows_q, rows_k, rows_v);
  return recorded(kOperator, {q, k, v}, [&] { return attend(rows_q, rows_k, rows_v).out; });
}

}  // namespace sdtune
