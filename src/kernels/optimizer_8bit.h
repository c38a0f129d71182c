// Optimizer states of one byte a number: blocks of 256 numbers share a scale, and each is the
// nearest of 256 codes (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022).
// Codes, blocks and rules are bitsandbytes'. The update reads and writes states in one pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/update_8bit.h"

namespace sdtune {

// absmax is undefined where `codes` holds an fp32 state.
struct Quantized8bit {
  at::Tensor codes;   // uint8, of the shape that it stands for
  at::Tensor absmax;  // fp32, [blocks_8bit(numel)]: blocks in the order of a contiguous tensor
};

// All zeros. like: any shape, on the CPU or CUDA.
Quantized8bit zeros_8bit(const at::Tensor& like, bool is_signed);

// x: fp32, any shape; torch's error for another type. Also the operators sdtune::quantize_8bit and
// sdtune::dequantize_8bit.
Quantized8bit quantize_8bit(const at::Tensor& x, bool is_signed);
at::Tensor dequantize_8bit(const Quantized8bit& state, bool is_signed);  // fp32

// One step of the rule: weight and states change in place. weight: fp32, or bf16,
// which is stored as store_rounded() does with update.rounding_key if it is contiguous; grad: of
// its type and shape; states: states_of(rule) of its shape, contiguous, either all 8-bit or all
// fp32 (which stand in `codes`, without absmax). scale: [] fp32 with the weight, or undefined, a
// factor of the gradient beside update.gradient_scale; where it is not finite nothing changes. The
// same bits for any number of threads and any layout of weight and grad; contiguous and
// channels-last weights are not copied, nor are gradients laid out like them.
// Torch's error where these do not fit. Also the operator sdtune::update_8bit_.
void update_8bit(at::Tensor& weight, const at::Tensor& grad, std::vector<Quantized8bit>& states,
                 const Update8bit& update, const at::Tensor& scale = {});

}  // namespace sdtune
