// Parameters by name, without a base class: a model is a struct, and its visit() names its parts
// once.
//
//   void visit(ParameterVisitor& v) { v("norm1", norm1); v("conv1", conv1); }
//
// The names joined by dots are Diffusers' keys.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sdtune {

class ParameterVisitor {
 public:
  using Leaf = std::function<void(const std::string& name, at::Tensor& parameter)>;
  explicit ParameterVisitor(Leaf leaf) : leaf_(std::move(leaf)) {}

  void operator()(const char* name, at::Tensor& parameter) { leaf_(prefix_ + name, parameter); }

  template <class Part>
  void operator()(const char* name, Part& part) {
    within(name, [&] { part.visit(*this); });
  }
  template <class Part>
  void operator()(const char* name, std::optional<Part>& part) {
    if (part) (*this)(name, *part);
  }
  template <class Part>
  void operator()(const char* name, std::vector<Part>& parts) {
    within(name, [&] {
      for (size_t i = 0; i < parts.size(); ++i) (*this)(std::to_string(i).c_str(), parts[i]);
    });
  }

 private:
  template <class F>
  void within(const char* name, F&& f) {
    const size_t length = prefix_.size();
    prefix_ += name;
    prefix_ += '.';
    f();
    prefix_.resize(length);
  }

  std::string prefix_;
  Leaf leaf_;
};

template <class Model>
void visit_parameters(Model& model, ParameterVisitor::Leaf leaf) {
  ParameterVisitor visitor(std::move(leaf));
  model.visit(visitor);
}

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;  // in visiting order

template <class Model>
NamedTensors named_parameters(Model& model) {
  NamedTensors all;
  visit_parameters(model,
                   [&](const std::string& name, at::Tensor& p) { all.emplace_back(name, p); });
  return all;
}

}  // namespace sdtune
