#include "kernels/side_stream.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sdtune {

namespace {

std::optional<c10::Stream> stream_of(c10::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  const c10::impl::VirtualGuardImpl devices(device.type());
  return devices.getStreamFromGlobalPool(device.has_index() ? device : devices.getDevice());
}

StreamMark mark_in(const c10::Stream& stream) {
  StreamMark mark(stream.device_type());
  mark->record(stream);
  return mark;
}

}  // namespace

SideStream::SideStream(c10::Device device) : stream_(stream_of(device)) {}

c10::Stream SideStream::stream_in_use() const {
  return c10::impl::VirtualGuardImpl(stream_->device_type()).getStream(stream_->device());
}

StreamMark SideStream::mark() const { return stream_ ? mark_in(*stream_) : std::nullopt; }

void SideStream::wait_for(const StreamMark& mark) const {
  if (mark) mark->block(*stream_);
}

void SideStream::wait_for_stream_in_use() const {
  if (stream_) wait_for(mark_in(stream_in_use()));
}

void SideStream::let_stream_in_use_wait_for(const StreamMark& mark) const {
  if (mark) mark->block(stream_in_use());
}

void SideStream::hand_over(at::ArrayRef<at::Tensor> tensors) const {
  if (!stream_) return;
  let_stream_in_use_wait();
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) tensor.record_stream(stream_in_use());
  }
}

}  // namespace sdtune
