// Work of a device that was recorded once and is repeated without the host's part in it: a CUDA
// graph. It repeats the same kernels on the same memory, so what is to change must lie in tensors
// that stay, and what it computes is there until a graph runs again.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace sdtune {

class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;

  // Records what work() gives the stream in use, which must not be the device's first one, without
  // doing it. work() must have run before, must not wait for the device, and must not use memory
  // of the host later than it returns. Once only. What work() throws is passed on.
  virtual void capture(const std::function<void()>& work) = 0;
  // Gives it to the stream in use.
  virtual void replay() = 0;
};

using DeviceGraphMaker = std::function<std::unique_ptr<DeviceGraph>()>;

// An empty one for a CUDA device. All of a process share one pool of memory, so results of one
// graph are lost when another runs. Not to be called where load_cuda() is false. Also the operator
// sdtune::make_graph, which only CUDA has.
std::unique_ptr<DeviceGraph> make_cuda_graph(c10::Device device);

}  // namespace sdtune
