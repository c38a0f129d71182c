#include "models/checkpoint.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace sdtune {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr char kBlockKey[] = "block";

// An autograd context keeps only torch's own kinds of values; this lets it keep a function.
struct BlockHolder : torch::CustomClassHolder {
  explicit BlockHolder(CheckpointedBlock b) : block(std::move(b)) {}
  CheckpointedBlock block;
};

variable_list detached(const variable_list& inputs) {
  variable_list leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.detach().set_requires_grad(input.requires_grad()));
  }
  return leaves;
}

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  // `anchor` requires gradients and is not used: without it a block whose inputs are all frozen
  // would be left out of the graph, and its parameters would learn nothing.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& /*anchor*/,
                            at::TensorList inputs, const CheckpointedBlock& block) {
    ctx->save_for_backward(inputs.vec());
    ctx->saved_data[kBlockKey] = c10::IValue::make_capsule(c10::make_intrusive<BlockHolder>(block));
    return block(inputs.vec());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_gradients) {
    const variable_list inputs = detached(ctx->get_saved_variables());
    const auto holder = ctx->saved_data[kBlockKey].toCapsule();
    at::Tensor output;
    {
      const at::AutoGradMode recording(true);
      output = static_cast<const BlockHolder&>(*holder).block(inputs);
    }
    // With everything frozen there is nothing to pass on.
    if (output.requires_grad()) torch::autograd::backward({output}, {output_gradients[0]});

    variable_list gradients(inputs.size() + 2);  // anchor first, block last: no gradients
    for (size_t i = 0; i < inputs.size(); ++i) gradients[i + 1] = inputs[i].grad();
    return gradients;
  }
};

}  // namespace

at::Tensor run_block(bool checkpointing, const CheckpointedBlock& block,
                     const std::vector<at::Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return block(inputs);
  if (checkpointing) {
    const at::Tensor anchor =
        at::empty({0}, inputs[0].options().dtype(at::kFloat)).set_requires_grad(true);
    return Checkpoint::apply(anchor, at::TensorList(inputs), block);
  }
  std::vector<at::Tensor> aliases;
  for (const at::Tensor& input : inputs) {
    aliases.push_back(input.requires_grad() ? input.alias() : input);
  }
  return block(aliases);
}

}  // namespace sdtune
