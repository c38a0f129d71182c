#include "kernels/device_graph.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

namespace sdtune {

TORCH_LIBRARY_FRAGMENT(sdtune, m) { m.def("make_graph(Tensor on) -> int"); }

std::unique_ptr<DeviceGraph> make_cuda_graph(c10::Device device) {
  static const auto make = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("sdtune::make_graph", "")
                               .typed<int64_t(const at::Tensor&)>();
  // An operator has no other way to hand over an object that is not torch's.
  const int64_t address = make.call(at::empty({0}, at::TensorOptions(device)));
  return std::unique_ptr<DeviceGraph>(reinterpret_cast<DeviceGraph*>(address));
}

}  // namespace sdtune
