#include "kernels/group_norm_planes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

#include "kernels/gradient_recording.h"
#include "kernels/group_norm_planes_cpu.h"
#include "kernels/storage_type.h"

namespace sdtune {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Shape {
  Shape(const at::Tensor& x, int64_t group_count)
      : pictures(x.size(0)),
        channels(x.size(1)),
        plane(x.numel() / (pictures * channels)),
        groups(group_count),
        width(channels / groups) {}

  int64_t pictures, channels, plane, groups;
  int64_t width;  // channels of a group
  int64_t count() const { return width * plane; }
};

bool is_plain_type(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// fp32 of a [C] parameter.
std::vector<float> values_of(const at::Tensor& parameter) {
  const at::Tensor single = parameter.detach().to(at::kFloat).contiguous();
  const auto* data = single.const_data_ptr<float>();
  return {data, data + single.numel()};
}

struct Rule {
  std::vector<float> weight, bias;  // [C]
  double eps;
  bool silu;
};

// One group of one picture.
template <class T>
class Group {
 public:
  // `number`: of all groups of all pictures.
  Group(const Shape& shape, const Rule& rule, const T* x, int64_t number)
      : shape_(shape),
        rule_(rule),
        first_(number % shape.groups * shape.width),
        offset_(number * shape.count()),
        x_(x + offset_) {
    const auto count = static_cast<double>(shape.count());
    mean_ = static_cast<float>(sum_of_plane(x_, shape.count()) / count);
    const double variance = squares_of_plane(x_, shape.count(), mean_) / count;
    inverse_ = static_cast<float>(1 / std::sqrt(variance + rule.eps));
  }

  void forward(T* out) const {
    for (int64_t c = 0; c < shape_.width; ++c) {
      const int64_t at = c * shape_.plane;
      run_plane(PlaneForward<T>{x_ + at, out + offset_ + at, shape_.plane, scale(c), shift(c),
                                rule_.silu});
    }
  }

  // `sums`: [C] of the group's picture.
  void backward(const T* grad, T* grad_x, PlaneSums* sums) const {
    std::vector<float> grad_z(shape_.count());
    double grads = 0, products = 0;
    for (int64_t c = 0; c < shape_.width; ++c) {
      const int64_t at = c * shape_.plane;
      const PlaneSums of_plane =
          run_plane(PlaneBackward<T>{x_ + at, grad + offset_ + at, grad_z.data() + at, shape_.plane,
                                     scale(c), shift(c), mean_, inverse_, rule_.silu});
      sums[first_ + c] = of_plane;
      grads += rule_.weight[first_ + c] * of_plane.grad;
      products += rule_.weight[first_ + c] * of_plane.grad_x_hat;
    }
    // grad_x = inverse·(weight·grad_z - mean of grads - x̂·mean of products)
    const double each = inverse_ / static_cast<double>(shape_.count());
    const double slope = each * products * inverse_;
    for (int64_t c = 0; c < shape_.width; ++c) {
      const int64_t at = c * shape_.plane;
      run_plane(PlaneGradient<T>{x_ + at, grad_z.data() + at, grad_x + offset_ + at, shape_.plane,
                                 scale(c), static_cast<float>(each * grads - slope * mean_),
                                 static_cast<float>(slope)});
    }
  }

 private:
  float scale(int64_t c) const { return rule_.weight[first_ + c] * inverse_; }
  float shift(int64_t c) const { return rule_.bias[first_ + c] - mean_ * scale(c); }

  const Shape& shape_;
  const Rule& rule_;
  int64_t first_;   // channel
  int64_t offset_;  // in the tensor
  const T* x_;
  float mean_ = 0;
  float inverse_ = 0;  // of the deviation
};

template <class T, class Use>
void each_group(const Shape& shape, const Rule& rule, const at::Tensor& x, Use use) {
  const T* values = static_cast<const T*>(x.const_data_ptr());
  at::parallel_for(0, shape.pictures * shape.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) use(Group<T>(shape, rule, values, i), i);
  });
}

at::Tensor forward_of(const at::Tensor& x, int64_t groups, const Rule& rule) {
  const Shape shape(x, groups);
  at::Tensor out = at::empty_like(x);
  with_storage_type<float, BFloat16Bits>(x, [&]<class T>(T*) {
    T* to = static_cast<T*>(out.mutable_data_ptr());
    each_group<T>(shape, rule, x, [&](const Group<T>& group, int64_t) { group.forward(to); });
  });
  return out;
}

struct Gradients {
  at::Tensor x;
  at::Tensor weight, bias;  // [C], fp32
};

Gradients backward_of(const at::Tensor& grad, const at::Tensor& x, int64_t groups,
                      const Rule& rule) {
  const Shape shape(x, groups);
  const at::Tensor dense = grad.to(x.scalar_type()).contiguous();
  Gradients result{at::empty_like(x), at::empty({shape.channels}, at::kFloat),
                   at::empty({shape.channels}, at::kFloat)};
  std::vector<PlaneSums> sums(shape.pictures * shape.channels);
  with_storage_type<float, BFloat16Bits>(x, [&]<class T>(T*) {
    const T* from = static_cast<const T*>(dense.const_data_ptr());
    T* to = static_cast<T*>(result.x.mutable_data_ptr());
    each_group<T>(shape, rule, x, [&](const Group<T>& group, int64_t i) {
      group.backward(from, to, sums.data() + i / shape.groups * shape.channels);
    });
  });
  auto* weight = result.weight.mutable_data_ptr<float>();
  auto* bias = result.bias.mutable_data_ptr<float>();
  for (int64_t c = 0; c < shape.channels; ++c) {
    PlaneSums all;
    for (int64_t b = 0; b < shape.pictures; ++b) {
      all.grad += sums[b * shape.channels + c].grad;
      all.grad_x_hat += sums[b * shape.channels + c].grad_x_hat;
    }
    weight[c] = static_cast<float>(all.grad_x_hat);
    bias[c] = static_cast<float>(all.grad);
  }
  return result;
}

class GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, int64_t groups, double eps, bool silu) {
    context->save_for_backward({x, weight, bias});
    context->saved_data["groups"] = groups;
    context->saved_data["eps"] = eps;
    context->saved_data["silu"] = silu;
    return forward_of(x, groups, {values_of(weight), values_of(bias), eps, silu});
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    refuse_second_derivative("group norm", "sdtune::group_norm", {grads[0]});
    const Rule rule{values_of(saved[1]), values_of(saved[2]), context->saved_data["eps"].toDouble(),
                    context->saved_data["silu"].toBool()};
    const Gradients made =
        backward_of(grads[0], saved[0], context->saved_data["groups"].toInt(), rule);
    return {made.x,
            made.weight.to(saved[1].scalar_type()),
            made.bias.to(saved[2].scalar_type()),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

bool takes_group_norm_planes(const GroupNormCall& call) {
  return is_plain_type(call.x) && is_plain_type(call.weight) && is_plain_type(call.bias) &&
         call.x.dim() >= 2 && call.x.numel() > 0 && call.x.is_contiguous();
}

at::Tensor group_norm_planes(const GroupNormCall& call) {
  return GroupNormFunction::apply(call.x, call.weight, call.bias, call.groups, call.eps, call.silu);
}

}  // namespace sdtune
