// A graph for tests on the CPU: recording keeps the work, and repeating it runs it again, on the
// same tensors. Tests alone include this.
#pragma once

#include "kernels/device_graph.h"

namespace sdtune {

class KeptWork : public DeviceGraph {
 public:
  void capture(const std::function<void()>& work) override { work_ = work; }
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

}  // namespace sdtune
