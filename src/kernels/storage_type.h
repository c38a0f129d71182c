// From the type of a tensor's elements to the type in which the CPU's loops see them (cpu_loops.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cpu_loops.h"

namespace sdtune {

template <class T>
inline constexpr at::ScalarType kTypeInTorch = at::kFloat;
template <>
inline constexpr at::ScalarType kTypeInTorch<BFloat16Bits> = at::kBFloat16;
template <>
inline constexpr at::ScalarType kTypeInTorch<HalfBits> = at::kHalf;

// Calls use(T*{}) with the one of Types that x holds: with_storage_type<float, HalfBits>(x, use).
// Of another type nothing is called.
template <class... Types, class Use>
void with_storage_type(const at::Tensor& x, Use use) {
  const auto try_one = [&]<class T>(T* none) {
    if (x.scalar_type() == kTypeInTorch<T>) use(none);
  };
  (try_one(static_cast<Types*>(nullptr)), ...);
}

}  // namespace sdtune
