#include "kernels/graphs_by_shape.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sdtune {

namespace {

using Tensors = GraphsByShape::Tensors;

void copy_all(const Tensors& from, const Tensors& to) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < from.size(); ++i) {
    if (to[i].defined()) to[i].copy_(from[i], /*non_blocking=*/true);
  }
}

// As many of the same shapes, in memory of their own.
Tensors places_for(const Tensors& tensors) {
  Tensors places;
  for (const at::Tensor& tensor : tensors) {
    places.push_back(tensor.defined() ? at::empty_like(tensor) : at::Tensor());
  }
  return places;
}

}  // namespace

GraphsByShape::GraphsByShape(c10::Device device, DeviceGraphMaker make)
    : stream_(device), make_(std::move(make)) {}

GraphsByShape::Shapes GraphsByShape::shapes_of(const Tensors& tensors) {
  constexpr int64_t kUndefined = -1;
  Shapes shapes;
  for (const at::Tensor& tensor : tensors) {
    shapes.push_back(tensor.defined() ? static_cast<int64_t>(tensor.scalar_type()) : kUndefined);
    if (!tensor.defined()) continue;
    shapes.push_back(tensor.dim());
    shapes.insert(shapes.end(), tensor.sizes().begin(), tensor.sizes().end());
  }
  return shapes;
}

size_t GraphsByShape::count() const {
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second.graph != nullptr;
  }));
}

// On the stream on which it will be recorded: libraries make their workspaces for each stream at
// first use, which they cannot while it is recorded.
Tensors GraphsByShape::run_first(const Tensors& inputs, const Work& work) const {
  stream_.wait_for_stream_in_use();
  Tensors results;
  {
    const auto guard = stream_.use();
    results = work(inputs);
  }
  stream_.let_stream_in_use_wait();
  return results;
}

void GraphsByShape::capture(const Tensors& inputs, const Work& work, Entry& entry) const {
  entry.inputs = places_for(inputs);
  auto graph = make_();
  stream_.wait_for_stream_in_use();
  {
    const auto guard = stream_.use();
    graph->capture([work, &entry] { copy_all(work(entry.inputs), entry.results); });
  }
  stream_.let_stream_in_use_wait();
  entry.graph = std::move(graph);
}

Tensors GraphsByShape::run(const Tensors& inputs, const Work& work) {
  const Shapes shapes = shapes_of(inputs);
  const auto found = entries_.find(shapes);
  if (found == entries_.end()) {
    Tensors results = run_first(inputs, work);
    entries_.try_emplace(shapes).first->second.results = places_for(results);
    return results;
  }
  Entry& entry = found->second;
  if (!entry.graph) capture(inputs, work, entry);
  copy_all(inputs, entry.inputs);
  entry.graph->replay();
  Tensors results = places_for(entry.results);
  copy_all(entry.results, results);
  return results;
}

}  // namespace sdtune
