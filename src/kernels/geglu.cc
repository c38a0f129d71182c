#include "kernels/geglu.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "base/error.h"
#include "kernels/geglu_cpu.h"
#include "kernels/gradient_recording.h"
#include "kernels/storage_type.h"

namespace sdtune {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kOperator = "sdtune::geglu";

// Elements below which one more thread costs more than it saves.
constexpr int64_t kGrain = 16384;

void check_input(const at::Tensor& x) {
  const auto type = x.scalar_type();
  if (type != at::kFloat && type != at::kBFloat16 && type != at::kHalf) {
    throw Error(fmt::format("GEGLU takes fp32, bf16 or fp16, not {}", c10::toString(type)),
                kOperator, "cast the input first");
  }
  if (x.dim() == 0 || x.size(-1) % 2 != 0) {
    const std::string shape = fmt::format("[{}]", fmt::join(x.sizes(), ", "));
    throw Error(fmt::format("GEGLU halves the last dimension, and {} has no even one", shape),
                kOperator);
  }
}

std::vector<int64_t> halved_last(at::IntArrayRef sizes) {
  std::vector<int64_t> result = sizes.vec();
  result.back() /= 2;
  return result;
}

int64_t rows_for_one_thread(int64_t d) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, d));
}

at::Tensor forward_on_cpu(const at::Tensor& x) {
  check_input(x);
  const at::Tensor dense = x.contiguous();
  at::Tensor out =
      at::empty(halved_last(x.sizes()), x.options().memory_format(at::MemoryFormat::Contiguous));
  if (out.numel() == 0) return out;
  const int64_t d = out.size(-1);
  with_storage_type<float, BFloat16Bits, HalfBits>(x, [&]<class T>(T*) {
    const T* from = static_cast<const T*>(dense.const_data_ptr());
    T* to = static_cast<T*>(out.mutable_data_ptr());
    at::parallel_for(0, out.numel() / d, rows_for_one_thread(d), [&](int64_t begin, int64_t end) {
      geglu_forward_cpu(from + begin * 2 * d, to + begin * d, end - begin, d);
    });
  });
  return out;
}

at::Tensor backward_on_cpu(const at::Tensor& grad, const at::Tensor& x) {
  check_input(x);
  const at::Tensor dense_grad = grad.to(x.scalar_type()).contiguous();
  const at::Tensor dense = x.contiguous();
  at::Tensor grad_x = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
  if (grad_x.numel() == 0) return grad_x;
  const int64_t d = x.size(-1) / 2;
  with_storage_type<float, BFloat16Bits, HalfBits>(x, [&]<class T>(T*) {
    const GegluBackward<T> whole = {static_cast<const T*>(dense_grad.const_data_ptr()),
                                    static_cast<const T*>(dense.const_data_ptr()),
                                    static_cast<T*>(grad_x.mutable_data_ptr()), x.numel() / (2 * d),
                                    d};
    at::parallel_for(0, whole.rows, rows_for_one_thread(d), [&](int64_t begin, int64_t end) {
      geglu_backward_cpu(GegluBackward<T>{whole.grad + begin * d, whole.x + begin * 2 * d,
                                          whole.grad_x + begin * 2 * d, end - begin, d});
    });
  });
  return grad_x;
}

at::Tensor call_forward(const at::Tensor& x) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sdtune::geglu", "")
                             .typed<at::Tensor(const at::Tensor&)>();
  return op.call(x);
}

at::Tensor call_backward(const at::Tensor& grad, const at::Tensor& x) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sdtune::geglu_backward", "")
                             .typed<at::Tensor(const at::Tensor&, const at::Tensor&)>();
  return op.call(grad, x);
}

class GegluFunction : public torch::autograd::Function<GegluFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_forward(x);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    return {call_backward(grads[0], context->get_saved_variables()[0])};
  }
};

at::Tensor forward_with_autograd(const at::Tensor& x) { return GegluFunction::apply(x); }

// Reached in a backward pass.
at::Tensor backward_with_autograd(const at::Tensor& grad, const at::Tensor& x) {
  refuse_second_derivative("GEGLU", kOperator, {grad, x});
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return call_backward(grad, x);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(sdtune, m) {
  m.def("geglu(Tensor x) -> Tensor");
  m.def("geglu_backward(Tensor grad, Tensor x) -> Tensor");
}

TORCH_LIBRARY_IMPL(sdtune, CPU, m) {
  m.impl("geglu", forward_on_cpu);
  m.impl("geglu_backward", backward_on_cpu);
}

TORCH_LIBRARY_IMPL(sdtune, Autograd, m) {
  m.impl("geglu", forward_with_autograd);
  m.impl("geglu_backward", backward_with_autograd);
}

at::Tensor geglu(const at::Tensor& x) { return call_forward(x); }

}  // namespace sdtune
