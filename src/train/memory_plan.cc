#include "train/memory_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/log.h"
#include "base/system.h"
#include "models/unet_memory.h"
#include "optim/host_state.h"
#include "optim/make_optimizer.h"
#include "optim/update_memory.h"
#include "train/device_memory.h"

namespace sdtune {

namespace {

constexpr double kGigabyte = 1e9;
constexpr int64_t kLatentScale = 8;

uint64_t bytes_of(const std::vector<ParameterGroup>& groups) {
  uint64_t bytes = 0;
  for (const ParameterGroup& group : groups) {
    for (const NamedParameter& parameter : group.parameters) bytes += parameter.tensor.nbytes();
  }
  return bytes;
}

// The trained parameters as shapes of another type, without values.
std::vector<ParameterGroup> shapes(const Trainee& trainee, at::ScalarType type) {
  std::vector<ParameterGroup> groups = trainee.optimizer->groups();
  for (ParameterGroup& group : groups) {
    for (NamedParameter& parameter : group.parameters) {
      parameter.tensor =
          at::empty_like(parameter.tensor, at::TensorOptions().device(at::kMeta).dtype(type));
    }
  }
  return groups;
}

// At most so many, the largest first.
std::vector<NamedParameter> largest_of(const std::vector<ParameterGroup>& groups, size_t count) {
  std::vector<NamedParameter> all;
  for (const ParameterGroup& group : groups) {
    all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  }
  std::ranges::stable_sort(all, [](const NamedParameter& a, const NamedParameter& b) {
    return a.tensor.numel() > b.tensor.numel();
  });
  if (all.size() > count) all.erase(all.begin() + static_cast<int64_t>(count), all.end());
  return all;
}

uint64_t bytes_of_state(Optimizer& optimizer) {
  uint64_t bytes = 0;
  optimizer.visit_state([&](const std::string&, const at::Tensor& s) { bytes += s.nbytes(); });
  return bytes;
}

// On the device. What lives on the host visits it three tensors at a time, which may be large ones.
uint64_t state_bytes(const Trainee& trainee, const MemorySettings& settings,
                     const std::vector<ParameterGroup>& groups) {
  const OptimizerArguments arguments(settings.optimizer_args);
  const auto optimizer = make_optimizer(settings.optimizer_type, groups, arguments);
  const bool is_away = settings.offload_optimizer || optimizer->state_is_on_host();
  if (!is_away || !trainee.device.is_cuda()) return bytes_of_state(*optimizer);
  const ParameterGroup largest{.parameters = largest_of(groups, kVisitingStates)};
  return bytes_of_state(*make_optimizer(settings.optimizer_type, {largest}, arguments));
}

UNetInput largest_input(const Trainee& trainee, const Dataset& dataset, at::ScalarType compute) {
  UNetInput input{.batch = 1, .height = 1, .width = 1};
  int64_t largest = 0;
  for (const Bucket& bucket : dataset.buckets) {
    const int64_t size = bucket.batch_size * bucket.size.width * bucket.size.height;
    if (size <= largest) continue;
    largest = size;
    input = {bucket.batch_size, bucket.size.height / kLatentScale,
             bucket.size.width / kLatentScale};
  }
  input.text_rows = trainee.max_token_length + 2;  // between its first and last mark
  if (trainee.device.is_cpu()) input.compute_on_cpu = compute;
  return input;
}

// Highest sum over the backward pass of what is still kept, what is being computed and what that
// takes for it, and the gradients that are there already.
uint64_t backward_peak(const std::vector<UnitMemory>& units, const MemorySettings& settings) {
  const uint64_t width = c10::elementSize(settings.compute);
  // A hypernetwork's are shared by the units, and counted by the caller.
  const bool gathers = !settings.fused_backward && settings.hypernetwork == nullptr;
  const uint64_t gradient = gathers ? c10::elementSize(settings.weights) : 0;
  // Weights of another type are kept as they were computed with.
  const uint64_t cast = settings.compute == settings.weights ? 0 : width;
  uint64_t kept = 0;
  for (const UnitMemory& unit : units) {
    kept += width * unit.result;
    if (!settings.checkpointing) kept += width * unit.inside + cast * unit.parameters;
  }
  uint64_t gradients = 0, peak = kept;
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    const uint64_t again = settings.checkpointing
                               ? width * (unit->result + unit->inside) + cast * unit->parameters
                               : 0;
    gradients += gradient * unit->parameters;
    peak = std::max(peak, kept + again + width * (unit->backward + unit->workspace) + gradients);
    kept -= width * unit->result;
    if (!settings.checkpointing) kept -= width * unit->inside + cast * unit->parameters;
  }
  return peak;
}

uint64_t all_activations(const std::vector<UnitMemory>& units, const MemorySettings& settings) {
  uint64_t elements = 0, largest = 0;
  for (const UnitMemory& unit : units) {
    elements += unit.result + (settings.checkpointing ? 0 : unit.inside);
    largest =
        std::max<uint64_t>(largest, unit.backward + (settings.checkpointing ? unit.inside : 0));
  }
  return (elements + largest) * c10::elementSize(settings.compute);
}

std::string gigabytes(uint64_t bytes) {
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / kGigabyte);
}

}  // namespace

MemorySettings memory_settings(const TrainOptions& options, const Trainee& trainee) {
  return {options.optimizer.type(),
          options.optimizer.optimizer_args,
          options.precision.offload_optimizer,
          trainee.precision.weights,
          trainee.precision.compute,
          options.run.gradient_checkpointing,
          options.precision.fused_backward_pass,
          options.ema.ema && !(options.ema.ema_cpu && trainee.device.is_cuda()),
          trainee.hypernetwork.get()};
}

MemoryPlan plan_memory(const Trainee& trainee, const Dataset& dataset,
                       const MemorySettings& settings) {
  const std::vector<ParameterGroup> groups = shapes(trainee, settings.weights);
  const NamedParameter largest = largest_of(groups, 1)[0];
  MemoryPlan plan;
  plan.weights = bytes_of(groups);
  const uint64_t trained = bytes_of(trainee.optimizer->groups());
  // Not below the weights: pages that were swapped out do not count as loaded.
  plan.loaded = std::max(trainee.loaded_bytes, trained) - trained + plan.weights;
  plan.optimizer = state_bytes(trainee, settings, groups);
  if (settings.ema) plan.average = bytes_of(shapes(trainee, at::kFloat));
  plan.gradients = settings.fused_backward ? largest.tensor.nbytes() : plan.weights;
  plan.update = static_cast<uint64_t>(
      static_cast<double>(largest.tensor.numel()) *
      update_bytes_per_element(settings.optimizer_type, OptimizerArguments(settings.optimizer_args),
                               largest.tensor));
  const std::vector<UnitMemory> units =
      unet_memory(trainee.source->unet_config, largest_input(trainee, dataset, settings.compute),
                  settings.hypernetwork);
  plan.activations = all_activations(units, settings);
  const bool shares = settings.hypernetwork != nullptr && !settings.fused_backward;
  const uint64_t backward = backward_peak(units, settings) + (shares ? plan.gradients : 0);
  const uint64_t update = plan.gradients + plan.update;
  const uint64_t moving = settings.fused_backward ? backward + update : std::max(backward, update);
  plan.peak = plan.loaded + plan.optimizer + plan.average + moving;
  return plan;
}

std::vector<std::string> memory_hints(const Trainee& trainee, const TrainOptions& options,
                                      const Dataset& dataset) {
  const MemorySettings own = memory_settings(options, trainee);
  const auto peak = [&](const MemorySettings& s) { return plan_memory(trainee, dataset, s).peak; };
  std::vector<std::pair<uint64_t, std::string>> savings;
  const auto consider = [&](const MemorySettings& other, const std::string& words) {
    constexpr uint64_t kWorthIt = 100'000'000;
    const uint64_t now = peak(own), then = peak(other);
    if (then + kWorthIt < now) savings.emplace_back(now - then, words);
  };
  MemorySettings other = own;
  other.checkpointing = true;
  if (!trainee.hypernetwork || !own.fused_backward) consider(other, "--gradient_checkpointing");
  other = own;
  other.optimizer_type = "AdamW8bit";
  other.optimizer_args.clear();
  consider(other, "--optimizer_type=AdamW8bit");
  other = own;
  other.fused_backward = true;
  if (trainee.optimizer->updates_tensor_by_tensor() && !trainee.scaler &&
      options.run.gradient_accumulation_steps == 1 &&
      !(trainee.hypernetwork && own.checkpointing)) {
    consider(other, options.precision.clip_per_tensor || options.optimizer.max_grad_norm == 0
                        ? "--fused_backward_pass"
                        : "--fused_backward_pass --clip_per_tensor");
  }
  other = own;
  other.weights = at::kBFloat16;
  if (trainee.device.is_cuda() || processor_computes_bf16()) other.compute = at::kBFloat16;
  consider(other, "--full_bf16 --mixed_precision=bf16");
  std::sort(savings.rbegin(), savings.rend());
  std::vector<std::string> hints;
  for (const auto& [bytes, words] : savings) {
    hints.push_back(fmt::format("{} would save {}", words, gigabytes(bytes)));
  }
  if (dataset.largest_batch() > 1) hints.emplace_back("a smaller --train_batch_size would help");
  return hints;
}

Error no_memory_for_a_step(const c10::Error& error, const Trainee& trainee,
                           const TrainOptions& options, const Dataset& dataset) {
  return Error(
      fmt::format("there is not enough memory for a step: {}", error.what_without_backtrace()),
      trainee.device.str(),
      fmt::format("{}", fmt::join(memory_hints(trainee, options, dataset), "; ")));
}

MemoryPlan announce_memory(const Trainee& trainee, const TrainOptions& options,
                           const Dataset& dataset) {
  const MemoryPlan plan = plan_memory(trainee, dataset, memory_settings(options, trainee));
  log_info("  memory: about {} at its peak", gigabytes(plan.peak));
  log_info("    {} trained weights, {} other weights and the program, {} gradients and update",
           gigabytes(plan.weights), gigabytes(plan.loaded - plan.weights),
           gigabytes(plan.gradients + plan.update));
  log_info(
      "    {} optimizer, {} activations{}", gigabytes(plan.optimizer), gigabytes(plan.activations),
      plan.average == 0 ? "" : fmt::format(", {} average of the weights", gigabytes(plan.average)));
  const uint64_t needed = plan.peak - std::min(plan.peak, bytes_in_use(trainee.device));
  const uint64_t free = bytes_free(trainee.device);
  if (needed > free) {
    log_warning("that is {} more than there is: {}", gigabytes(needed - free),
                fmt::join(memory_hints(trainee, options, dataset), "; "));
  }
  return plan;
}

}  // namespace sdtune
