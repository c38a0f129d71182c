#include "kernels/group_norm.h"

#include <ATen/Parallel.h>

#include "kernels/gradient_recording.h"
#include "kernels/group_norm_cpu.h"

namespace sdtune {

namespace {

// Pixels whose moments are summed apart before they are joined in order, so that sums do not depend
// on the number of threads.
constexpr int64_t kPixelsPerPart = 2048;

struct Layout {
  int64_t pictures, channels, pixels, groups;
  int64_t parts() const { return (pixels + kPixelsPerPart - 1) / kPixelsPerPart; }
};

// Sums and squares of each channel of one picture: [2·C].
template <class T>
std::vector<double> channel_moments(const T* picture, const Layout& layout) {
  const int64_t channels = layout.channels;
  std::vector<double> parts(layout.parts() * 2 * channels, 0.0);
  at::parallel_for(0, layout.parts(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * kPixelsPerPart;
      double* sum = parts.data() + part * 2 * channels;
      add_channel_moments(picture + first * channels,
                          std::min(kPixelsPerPart, layout.pixels - first), channels, sum,
                          sum + channels);
    }
  });
  std::vector<double> total(2 * channels, 0.0);
  for (size_t first = 0; first < parts.size(); first += total.size()) {
    for (size_t i = 0; i < total.size(); ++i) total[i] += parts[first + i];
  }
  return total;
}

struct Factors {
  std::vector<float> scale, shift;  // [C]
};

Factors factors(const std::vector<double>& moments, const Layout& layout,
                const GroupNormCall& call) {
  const int64_t channels = layout.channels;
  const int64_t width = channels / layout.groups;
  const double count = static_cast<double>(width * layout.pixels);
  const at::Tensor weight = call.weight.to(at::kFloat).contiguous();
  const at::Tensor bias = call.bias.to(at::kFloat).contiguous();
  Factors result{std::vector<float>(channels), std::vector<float>(channels)};
  for (int64_t first = 0; first < channels; first += width) {
    double sum = 0, square = 0;
    for (int64_t c = first; c < first + width; ++c) {
      sum += moments[c];
      square += moments[channels + c];
    }
    const double mean = sum / count;
    const double inverse = 1 / std::sqrt(std::max(0.0, square / count - mean * mean) + call.eps);
    for (int64_t c = first; c < first + width; ++c) {
      const double scale = weight.const_data_ptr<float>()[c] * inverse;
      result.scale[c] = static_cast<float>(scale);
      result.shift[c] = static_cast<float>(bias.const_data_ptr<float>()[c] - mean * scale);
    }
  }
  return result;
}

template <class T>
void run(const GroupNormCall& call, const Layout& layout, at::Tensor& out) {
  const int64_t picture_size = layout.pixels * layout.channels;
  for (int64_t b = 0; b < layout.pictures; ++b) {
    const T* picture = static_cast<const T*>(call.x.const_data_ptr()) + b * picture_size;
    T* target = static_cast<T*>(out.mutable_data_ptr()) + b * picture_size;
    const Factors f = factors(channel_moments(picture, layout), layout, call);
    const int64_t grain = std::max<int64_t>(1, 16384 / layout.channels);
    at::parallel_for(0, layout.pixels, grain, [&](int64_t begin, int64_t end) {
      scale_and_shift(ScaleShift<T>{picture + begin * layout.channels,
                                    target + begin * layout.channels, f.scale.data(),
                                    f.shift.data(), end - begin, layout.channels, call.silu});
    });
  }
}

}  // namespace

bool takes_group_norm(const GroupNormCall& call) {
  const auto type = call.x.scalar_type();
  return !is_recorded({call.x, call.weight, call.bias}) && call.x.device().is_cpu() &&
         call.x.dim() == 4 && call.x.numel() > 0 && (type == at::kFloat || type == at::kBFloat16) &&
         call.x.is_contiguous(at::MemoryFormat::ChannelsLast) && !call.x.is_contiguous();
}

at::Tensor group_norm_channels_last(const GroupNormCall& call) {
  const Layout layout{call.x.size(0), call.x.size(1), call.x.size(2) * call.x.size(3), call.groups};
  at::Tensor out = at::empty_like(call.x, at::MemoryFormat::ChannelsLast);
  if (call.x.scalar_type() == at::kFloat) {
    run<float>(call, layout, out);
  } else {
    run<BFloat16Bits>(call, layout, out);
  }
  return out;
}

}  // namespace sdtune
