// Updates that read their factor on the device, by a rule that does the same on the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "optim/fused_backward.h"
#include "optim/grad_scaler.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {
namespace {

// Takes the gradient away, times what it is to be multiplied by.
class Subtract : public TensorOptimizer {
 public:
  using TensorOptimizer::TensorOptimizer;
  bool scales_gradients() const override { return true; }
  bool takes_device_scale() const override { return true; }
  void forget_update(size_t, size_t index) override { forgotten.push_back(index); }
  std::vector<size_t> forgotten;

 protected:
  void add_state(const at::Tensor&, ParameterState&) const override {}
  void apply(TensorUpdate& update) override {
    const at::Tensor& scale = update.device_scale;
    update.weight.sub_(at::where(scale.isfinite(), scale * update.gradient, 0));
  }
};

struct Model {
  std::vector<at::Tensor> weights = {at::zeros({2}).requires_grad_(),
                                     at::zeros({}).requires_grad_()};
  Subtract optimizer{{{{{"a", weights[0]}, {"b", weights[1]}}, 1}}};

  void set_gradients(float scale) {
    weights[0].mutable_grad() = at::tensor({3.0F, 0.0F}) * scale;
    weights[1].mutable_grad() = at::full({}, 4 * scale);
  }
};

TEST(DeviceScale, ClipsAsOnTheHost) {
  Model model;
  model.set_gradients(1);
  UpdateMoment moment;
  EXPECT_EQ(
      clip_gradients_for(model.optimizer, model.optimizer.gradients(), 2.5, moment).item<float>(),
      5);
  model.optimizer.step(moment);
  EXPECT_NEAR(model.weights[0][0].item<float>(), -1.5, 1e-5);
  EXPECT_NEAR(model.weights[1].item<float>(), -2, 1e-5);
  EXPECT_EQ(model.weights[0].grad()[0].item<float>(), 3);
  UpdateMoment unclipped;
  clip_gradients_for(model.optimizer, model.optimizer.gradients(), 0, unclipped);
  EXPECT_EQ(unclipped.device_scale.item<float>(), 1);
}

TEST(DeviceScale, MeasuresGradientsWithoutTheLossScale) {
  Model model;
  GradScaler scaler(at::kCPU);
  model.set_gradients(65536);
  UpdateMoment moment;
  moment.device_scale = scaler.inverse();
  const at::Tensor norm =
      clip_gradients_for(model.optimizer, model.optimizer.gradients(), 0, moment);
  EXPECT_EQ(norm.item<float>(), 5);
  model.optimizer.step(moment);
  EXPECT_EQ(model.weights[1].item<float>(), -4);
  scaler.note_norm(norm);
  scaler.update();
  EXPECT_EQ(scaler.current_scale(), 65536);
  EXPECT_EQ(scaler.good_steps(), 1);
}

TEST(DeviceScale, ChangesNothingWhereAGradientIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    Model model;
    GradScaler scaler(at::kCPU);
    model.set_gradients(1);
    model.weights[1].mutable_grad().fill_(bad);
    for (const double max_norm : {0.0, 1.0}) {
      UpdateMoment moment;
      moment.device_scale = scaler.inverse();
      const at::Tensor norm =
          clip_gradients_for(model.optimizer, model.optimizer.gradients(), max_norm, moment);
      EXPECT_FALSE(std::isfinite(norm.item<float>()));
      model.optimizer.step(moment);
      EXPECT_EQ(model.weights[0].abs().sum().item<float>(), 0);
      scaler.note_norm(norm);
    }
    scaler.update();
    EXPECT_EQ(scaler.current_scale(), 32768);
  }
}

TEST(DeviceScale, FusedUpdatesLeaveATensorWhoseGradientIsNotFinite) {
  Model model;
  FusedBackward fused(model.optimizer, 0);
  fused.begin({});
  const at::Tensor infinite = at::full({}, std::numeric_limits<float>::infinity());
  (model.weights[0].sum() + model.weights[1] * infinite).backward();
  EXPECT_EQ(fused.finish(), "b");
  EXPECT_EQ(model.weights[0][1].item<float>(), -1);
  EXPECT_EQ(model.weights[1].item<float>(), 0);
  EXPECT_EQ(model.optimizer.forgotten, std::vector<size_t>{1});
  fused.begin({});
  EXPECT_EQ(fused.finish(), "");
}

}  // namespace
}  // namespace sdtune
