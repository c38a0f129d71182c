// A second moment kept as the means of its rows and columns (the last two dimensions), as Adafactor
// and CAME do: Shazeer & Stern, "Adafactor: adaptive learning rates with sublinear memory cost",
// 2018.
#pragma once

#include <string>

#include "optim/tensor_optimizer.h"

namespace sdtune {

// Whether a parameter's moment is factored: it is a matrix or more.
bool is_factored(const at::Tensor& parameter);

// Adds "<name>_row" [..., rows] and "<name>_col" [..., columns] in fp32.
void add_factors(const at::Tensor& parameter, const std::string& name, ParameterState& state);

// Moves both towards the means of `square` by 1 - decay, and returns one over the square root of
// the moment that they stand for, in the memory of `square`.
at::Tensor factored_inverse_root(ParameterState& state, const std::string& name, at::Tensor square,
                                 double decay);

// The root mean square of all elements, [] on the tensor's device.
at::Tensor root_mean_square(const at::Tensor& tensor);

}  // namespace sdtune
