// Gradient checkpointing: a block keeps only its inputs and runs a second time in backward.
// libtorch has it in Python alone. The scheme of Chen et al., "Training deep nets with sublinear
// memory cost", 2016. For losses that call backward(): parameters' gradients accumulate inside the
// second run, so that their hooks fire once as always, and torch::autograd::grad() does not see
// them. No second derivatives.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace sdtune {

// inputs -> one output. It must give the same result each time, and what it refers to (its
// parameters) must live until backward.
using CheckpointedBlock = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

// block(inputs), checkpointed when `checkpointing` is set and gradients are being recorded. Either
// way the gradients are the same to the last bit: without checkpointing, too, each input's
// gradients are added up within the block before they meet those of other blocks. `inputs` is never
// empty; parameters need not be among them.
at::Tensor run_block(bool checkpointing, const CheckpointedBlock& block,
                     const std::vector<at::Tensor>& inputs);

}  // namespace sdtune
