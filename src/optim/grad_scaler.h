// Dynamic loss scaling for fp16 (Micikevicius et al. 2018), with torch's GradScaler's numbers: the
// scale halves when a gradient is not finite, whose step is skipped, and doubles after 2000 good
// steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sdtune {

class GradScaler {
 public:
  explicit GradScaler(at::Device device);

  at::Tensor scale(const at::Tensor& loss) const { return loss * scale_; }
  // Divides the gradients by the scale; false when any is not finite (one host sync).
  bool unscale(const std::vector<at::Tensor>& gradients);
  // Instead, without a sync: gradients keep the scale, their update multiplies them by inverse(),
  // [] fp32, and notes their norm, [].
  at::Tensor inverse() const;
  void note_norm(const at::Tensor& norm);
  void update();  // after each step, taken or skipped

  // For the state of a run: the scale and the count of good steps since it last changed.
  double current_scale() const;
  int64_t good_steps() const;
  void restore(double scale, int64_t good_steps);

 private:
  at::Tensor scale_;      // [1] fp32
  at::Tensor growth_;     // [1] int32
  at::Tensor found_inf_;  // [1] fp32
};

}  // namespace sdtune
