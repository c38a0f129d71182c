// Registers CUDA graphs with torch's dispatcher when libsdtune_cuda.so is opened. The operator is
// declared in the program itself (device_graph.cc).
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "kernels/device_graph.h"

namespace sdtune {

namespace {

c10::MempoolId_t shared_pool() {
  static const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
  return pool;
}

class CudaGraph : public DeviceGraph {
 public:
  explicit CudaGraph(c10::Device device) : device_(device) {}

  void capture(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard guard(device_);
    // The graph's memory is taken anew, and what is free elsewhere would lie beside it unused.
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    // The backward pass gives its work from another thread, and the loader's own may take pinned
    // memory meanwhile: only this thread's calls are watched.
    graph_.capture_begin(shared_pool(), cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      end_failed_capture();
      throw;
    }
    graph_.capture_end();
  }

  void replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_.replay();
  }

 private:
  // The first error is the one to be told. A capture that does not end well throws before it tells
  // the allocator that the graph's memory has an end; one that does has told it already.
  void end_failed_capture() {
    const auto quietly = [](const auto& act) {
      try {
        act();
      } catch (const c10::Error&) {
      }
    };
    quietly([&] { graph_.capture_end(); });
    quietly([&] {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device_.index(), shared_pool());
    });
  }

  c10::Device device_;
  at::cuda::CUDAGraph graph_;
};

int64_t make_graph_on_cuda(const at::Tensor& on) {
  return reinterpret_cast<int64_t>(static_cast<DeviceGraph*>(new CudaGraph(on.device())));
}

}  // namespace

TORCH_LIBRARY_IMPL(sdtune, CUDA, m) { m.impl("make_graph", make_graph_on_cuda); }

}  // namespace sdtune
