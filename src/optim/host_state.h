// Optimizer state that lives in host memory and visits the device for the update of its parameter,
// so that the device holds the state of three tensors at a time: one that is updated, the next on
// its way in, and the last on its way out. Host memory is pinned, and copies go beside the work on
// streams of their own. Without a device there is nothing to move.
#pragma once

#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/side_stream.h"
#include "optim/tensor_optimizer.h"

namespace sdtune {

inline constexpr size_t kVisitingStates = 3;

// Host memory for states, taken in slabs: torch rounds each piece of pinned memory up to a power of
// two, which for every tensor by itself is a fifth more than they need.
class HostMemory {
 public:
  static constexpr int64_t kSlabBytes = int64_t{1} << 28;
  using Allocate = std::function<at::Tensor(int64_t bytes)>;  // uint8 [bytes]

  HostMemory();  // pinned
  explicit HostMemory(Allocate allocate, int64_t slab_bytes = kSlabBytes)
      : allocate_(std::move(allocate)), slab_bytes_(slab_bytes) {}

  // What `tensor` (dense, on any device) holds, with its strides. It keeps its slab alive.
  at::Tensor copy_of(const at::Tensor& tensor);

 private:
  struct Slab {
    at::Tensor bytes;
    int64_t used;
  };
  at::Tensor take(int64_t bytes);

  Allocate allocate_;
  int64_t slab_bytes_;
  std::vector<Slab> slabs_;
};

// Returns when the parameters' devices have done what they were given.
void wait_for_devices(const std::vector<ParameterGroup>& groups);

class StateTravel {
 public:
  using Travels = std::function<bool(const at::Tensor&)>;

  // To this device and back. Which tensors travel: those in pinned memory, and none to a CPU.
  // Numbers that a rule reads on the CPU are not pinned and stay.
  explicit StateTravel(at::Device device);
  StateTravel(at::Device device, Travels travels);

  // Moves the state's tensors on a CUDA device to host memory. Others stay what they are.
  void settle(ParameterState& state);

  // Puts copies on the device in the place of the state's tensors. The stream in use may have them
  // after arrive().
  void set_out(ParameterState& state);
  // What the stream in use is given from now on finds the copies whole of the first state that set
  // out and is not home.
  void arrive() const;
  // Brings that state home, as the stream in use has made it by then, and puts the tensors back in
  // their place that were there before. The host must wait for the device before it reads them.
  void go_home(ParameterState& state);

  // States that have memory on the device: at most kVisitingStates where one sets out before
  // another arrives.
  size_t underway() const { return coming_.size() + leaving_.size(); }

 private:
  struct Traveller {
    const ParameterState* state;
    std::vector<at::Tensor> hosts;     // in the state's order, undefined for what stays
    std::vector<at::Tensor> visitors;  // their memory on the device, once it is on its way home
    StreamMark mark;                   // it has arrived, or is home
  };
  void make_room_for(const ParameterState& state);

  at::Device device_;
  Travels travels_;
  HostMemory memory_;
  SideStream in_, out_;
  std::deque<Traveller> coming_, leaving_;
};

}  // namespace sdtune
