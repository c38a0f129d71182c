// Calls of this folder's operators, as torch's profilers see those of torch: with their tensors.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <initializer_list>
#include <vector>

namespace sdtune {

// What make() returns, recorded as the result of the operator `name` of these inputs.
template <class Make>
at::Tensor recorded(const char* name, std::initializer_list<at::Tensor> inputs, Make make) {
  std::vector<c10::IValue> values;  // outlives the record, which refers to it
  at::RecordFunction record(at::RecordScope::FUNCTION);
  if (!record.isActive()) return make();
  values.assign(inputs.begin(), inputs.end());
  record.before(name, c10::ArrayRef<const c10::IValue>(values.data(), values.size()));
  at::Tensor result = make();
  if (record.needsOutputs()) record.setOutputs(std::vector<c10::IValue>{result});
  return result;
}

}  // namespace sdtune
