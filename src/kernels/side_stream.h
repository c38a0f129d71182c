// A second queue of a device beside the one in use, for work that goes its own way: copies, and
// what is recorded as a graph. Who waits for whom is told to the device by events; the host never
// waits. On a device without streams, as the CPU, all is done at once and waits are nothing.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>

#include <optional>

namespace sdtune {

// A point in a queue, which is reached when all that was given to the queue before is done.
using StreamMark = std::optional<c10::Event>;

class SideStream {
 public:
  explicit SideStream(c10::Device device);

  // What this is given next waits for all that the stream in use was given so far.
  void wait_for_stream_in_use() const;
  // What the stream in use is given next waits for all that this was given so far.
  void let_stream_in_use_wait() const { let_stream_in_use_wait_for(mark()); }
  // The same for what this was given before mark().
  StreamMark mark() const;
  void let_stream_in_use_wait_for(const StreamMark& mark) const;
  // What this is given next waits for a mark of another stream of the device.
  void wait_for(const StreamMark& mark) const;

  // Gives the stream in use tensors that were made while this was in use: it waits for all that
  // this was given, and their memory is free for others only after what it is given with them.
  void hand_over(at::ArrayRef<at::Tensor> tensors) const;

  // This stream is the one in use while the result lives.
  c10::OptionalStreamGuard use() const { return c10::OptionalStreamGuard(stream_); }

 private:
  c10::Stream stream_in_use() const;

  std::optional<c10::Stream> stream_;
};

}  // namespace sdtune
