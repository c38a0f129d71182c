#include "kernels/graphs_by_shape.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>

#include "kernels/device_graph_for_test.h"
#include "kernels/load_cuda.h"

namespace sdtune {
namespace {

using Tensors = GraphsByShape::Tensors;

GraphsByShape graphs_for_test() {
  return GraphsByShape(at::kCPU, [] { return std::make_unique<KeptWork>(); });
}

Tensors product_and_sum(const Tensors& inputs) { return {inputs[0] * inputs[1], inputs[0].sum()}; }

TEST(GraphsByShape, GivesWhatTheWorkGives) {
  GraphsByShape graphs = graphs_for_test();
  for (int round = 0; round < 4; ++round) {
    for (const int64_t size : {3, 5}) {
      const Tensors inputs = {at::rand({2, size}), at::rand({2, size})};
      const Tensors found = graphs.run(inputs, product_and_sum), wanted = product_and_sum(inputs);
      EXPECT_TRUE(found[0].equal(wanted[0]) && found[1].equal(wanted[1])) << round;
    }
    EXPECT_EQ(graphs.count(), round == 0 ? 0U : 2U);
  }
}

TEST(GraphsByShape, NeverWritesIntoWhatItGave) {
  GraphsByShape graphs = graphs_for_test();
  std::vector<Tensors> given, wanted;
  for (int i = 1; i < 5; ++i) {
    const Tensors inputs = {at::full({2}, i), at::full({2}, 2)};
    given.push_back(graphs.run(inputs, product_and_sum));
    wanted.push_back(product_and_sum(inputs));
  }
  for (size_t i = 0; i < given.size(); ++i) EXPECT_TRUE(given[i][0].equal(wanted[i][0])) << i;
}

TEST(GraphsByShape, TellsShapesTypesAndWhatIsUndefinedApart) {
  GraphsByShape graphs = graphs_for_test();
  const auto work = [](const Tensors& inputs) {
    return Tensors{inputs[1].defined() ? inputs[0] + inputs[1] : inputs[0] + 1};
  };
  const std::vector<Tensors> kinds = {{at::zeros({2, 3}), at::Tensor()},
                                      {at::zeros({2, 3}), at::full({3}, 5)},
                                      {at::zeros({3, 2}), at::Tensor()},
                                      {at::zeros({6}), at::Tensor()},
                                      {at::zeros({2, 3}, at::kInt), at::Tensor()}};
  for (int round = 0; round < 3; ++round) {
    for (const Tensors& inputs : kinds) {
      EXPECT_TRUE(graphs.run(inputs, work)[0].equal(work(inputs)[0]));
    }
  }
  EXPECT_EQ(graphs.count(), kinds.size());
}

TEST(GraphsByShape, RecordsNothingThatFailed) {
  GraphsByShape graphs = graphs_for_test();
  const Tensors inputs = {at::ones({2}), at::ones({2})};
  const auto fails = [](const Tensors&) -> Tensors { throw std::runtime_error("no memory"); };
  EXPECT_THROW(graphs.run(inputs, fails), std::runtime_error);
  EXPECT_TRUE(graphs.run(inputs, product_and_sum)[0].equal(at::ones({2})));
  EXPECT_EQ(graphs.count(), 0U);
}

// Gradients add up in place, in graphs of two shapes that share their memory.
TEST(GraphsByShape, IsTheSameOnCuda) {
  if (!load_cuda()) GTEST_SKIP() << "no CUDA device";
  const at::Device device(at::kCUDA, 0);
  const auto make_weight = [&] {
    at::Tensor weight = at::linspace(0, 1, 64, at::TensorOptions(device)).reshape({8, 8});
    weight.requires_grad_(true).mutable_grad() = at::zeros({8, 8}, at::TensorOptions(device));
    return weight;
  };
  const at::Tensor plain = make_weight(), recorded = make_weight();
  const auto work_on = [](const at::Tensor& weight) {
    return [weight](const Tensors& inputs) {
      const at::Tensor loss = inputs[0].matmul(weight).square().mean();
      loss.backward();
      return Tensors{loss.detach()};
    };
  };
  GraphsByShape graphs(device, [&] { return make_cuda_graph(device); });
  for (int round = 0; round < 4; ++round) {
    for (const int64_t rows : {4, 300, 16}) {
      const Tensors inputs = {at::rand({rows, 8}, at::TensorOptions(device))};
      const Tensors found = graphs.run(inputs, work_on(recorded));
      EXPECT_TRUE(found[0].equal(work_on(plain)(inputs)[0]));
      EXPECT_TRUE(recorded.grad().equal(plain.grad()));
    }
  }
  EXPECT_EQ(graphs.count(), 3U);
}

}  // namespace
}  // namespace sdtune
