#include "train/nan_guard.h"

#include <ATen/ops/isfinite.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "train/latent_encoder.h"
#include "train/training_step.h"

namespace sdtune {

namespace {

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

}  // namespace

std::string first_bad_tensor(const Optimizer& optimizer) {
  const at::NoGradGuard no_grad;
  for (const ParameterGroup& group : optimizer.groups()) {
    for (const NamedParameter& parameter : group.parameters) {
      if (!is_finite(parameter.tensor)) return "weight " + parameter.name;
    }
  }
  for (const ParameterGroup& group : optimizer.groups()) {
    for (const NamedParameter& parameter : group.parameters) {
      const at::Tensor& gradient = parameter.tensor.grad();
      if (gradient.defined() && !is_finite(gradient)) return "gradient of " + parameter.name;
    }
  }
  return "";
}

std::string first_bad_picture(const Dataset& dataset, std::span<const LoadedBatch> batches) {
  for (const LoadedBatch& batch : batches) {
    const std::vector<float>& values = batch.latents.empty() ? batch.pixels : batch.latents;
    const auto bad = std::find_if_not(values.begin(), values.end(),
                                      [](float value) { return std::isfinite(value); });
    if (bad == values.end()) continue;
    const size_t of_each = values.size() / batch.items.size();
    const size_t index = static_cast<size_t>(bad - values.begin()) / of_each;
    return dataset.items[static_cast<size_t>(batch.items[index])].image.string();
  }
  return "";
}

std::optional<int64_t> first_bad_latents(std::span<const LoadedBatch> batches,
                                         std::span<const at::Tensor> latents) {
  auto next = latents.begin();
  for (const LoadedBatch& batch : batches) {
    if (batch.items.empty()) continue;
    const at::Tensor is_good = at::isfinite(*next++).flatten(1).all(1).to(at::kCPU);
    for (size_t i = 0; i < batch.items.size(); ++i) {
      if (!is_good[static_cast<int64_t>(i)].item<bool>()) return batch.items[i];
    }
  }
  return std::nullopt;
}

std::string picture_names(const Dataset& dataset, std::span<const LoadedBatch> batches) {
  constexpr size_t kNamed = 8;
  std::vector<std::string> names;
  size_t count = 0;
  for (const LoadedBatch& batch : batches) {
    for (const int64_t item : batch.items) {
      if (++count <= kNamed)
        names.push_back(dataset.items[static_cast<size_t>(item)].image.filename().string());
    }
  }
  return fmt::format("{}{}", fmt::join(names, ", "),
                     count > kNamed ? fmt::format(" and {} more", count - kNamed) : "");
}

BadOrigin origin_of(const StepResult& result, std::span<const LoadedBatch> batches,
                    const Dataset& dataset, at::ScalarType vae_type) {
  if (result.bad_tensor.starts_with("weight")) return {result.bad_tensor, ""};
  const std::string picture = first_bad_picture(dataset, batches);
  if (!picture.empty()) return {"picture " + picture, ""};
  if (result.bad_latents) {
    const Item& item = dataset.items[static_cast<size_t>(*result.bad_latents)];
    return {"the VAE's latents of " + item.image.string(),
            hint_for_latents(vae_type, "--no_half_vae")};
  }
  return {result.bad_tensor.empty() ? "the loss" : result.bad_tensor, ""};
}

NanGuard::Verdict NanGuard::judge(bool finite, bool has_state) {
  if (finite) {
    bad_in_a_row_ = 0;
    went_back_ = false;
    return Verdict::kGood;
  }
  if (++bad_in_a_row_ < max_steps_) return Verdict::kSkipped;
  if (went_back_ || !has_state) return Verdict::kGiveUp;
  went_back_ = true;
  bad_in_a_row_ = 0;
  return Verdict::kGoBack;
}

}  // namespace sdtune
