// Work on tensors whose shapes come back, as a training step's for each bucket of pictures: the
// first time that shapes are met it runs as it is, the second time it is recorded as a graph, and
// from then on it is repeated. One graph for each set of shapes and types.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <vector>

#include "kernels/device_graph.h"
#include "kernels/side_stream.h"

namespace sdtune {

class GraphsByShape {
 public:
  using Tensors = std::vector<at::Tensor>;
  // Inputs to results, which are detached. All other tensors that it reads or changes must stay
  // where they are from its first run on: parameters, and their gradients, which it adds to.
  using Work = std::function<Tensors(const Tensors& inputs)>;

  // `make` is asked once for each set of shapes that is met again.
  GraphsByShape(c10::Device device, DeviceGraphMaker make);

  // What work(inputs) gives, of which no graph changes anything later. The same work each time.
  // Inputs that are undefined count as a shape of their own. Torch's errors for what a graph cannot
  // hold.
  Tensors run(const Tensors& inputs, const Work& work);

  size_t count() const;  // graphs that were recorded

 private:
  using Shapes = std::vector<int64_t>;
  struct Entry {
    Tensors inputs, results;  // where the graph finds them and leaves them
    std::unique_ptr<DeviceGraph> graph;
  };

  static Shapes shapes_of(const Tensors& tensors);
  Tensors run_first(const Tensors& inputs, const Work& work) const;
  void capture(const Tensors& inputs, const Work& work, Entry& entry) const;

  SideStream stream_;
  DeviceGraphMaker make_;
  std::map<Shapes, Entry> entries_;
};

}  // namespace sdtune
