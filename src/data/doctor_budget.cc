#include "data/doctor_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/files.h"
#include "data/epoch_plan.h"

namespace sdtune {
namespace {

// Parameters of the published models.
struct Parameters {
  double unet, text_encoder, vae;
  double all() const { return unet + text_encoder + vae; }
};
constexpr Parameters kV1{859.5e6, 123e6, 83.7e6};
constexpr Parameters kV2{865.9e6, 340e6, 83.7e6};

constexpr double kFp32 = 4;
constexpr double kFp16 = 2;
constexpr double kTrainedCopies = 3;  // weights and AdamW's two moments
constexpr uint64_t kLatentFileOverhead =
    1500;  // of one .npz: its headers and what it was made from

// Below this many bytes for each weight a file cannot be one of the published models.
constexpr double kLeastBytesPerWeight = 1.9;

double trained_parameters(const Parameters& parameters, const SavePlan& saves) {
  return parameters.unet + (saves.trains_text_encoder ? parameters.text_encoder : 0);
}

// Weights that are trained are kept in fp32; the others, and what else the file holds, stay as the
// file has them.
double model_bytes(const Parameters& parameters, const SavePlan& saves) {
  const double file = static_cast<double>(saves.model_bytes.value_or(0));
  const double source = saves.model_bytes && file < 3 * parameters.all() ? kFp16 : kFp32;
  const double surplus = std::max(0.0, file - parameters.all() * source);
  if (saves.bytes_per_weight > 0) return parameters.all() * saves.bytes_per_weight + surplus;
  const double trained = trained_parameters(parameters, saves);
  return trained * kFp32 + (parameters.all() - trained) * source + surplus;
}

int64_t saves_by_epochs(const StepPlan& steps, int64_t every) {
  const int64_t apart = every * steps.steps_per_epoch;
  return (steps.total_steps - 1) / apart;  // the end of the run saves by itself
}

}  // namespace

uint64_t CheckpointNeeds::total() const {
  const double bytes = static_cast<double>(models) * static_cast<double>(model_bytes) +
                       static_cast<double>(states) * static_cast<double>(state_bytes);
  return static_cast<uint64_t>(std::min(bytes, 1e18));
}

StepPlan plan_steps(const Dataset& dataset, const RunLength& length) {
  StepPlan plan;
  plan.accumulation = length.gradient_accumulation_steps;
  if (dataset.items.empty()) return plan;
  plan.pictures = std::ssize(dataset.items);
  plan.samples_per_epoch = dataset.samples_per_epoch();
  plan.batches_per_epoch = batches_per_epoch(dataset);
  plan.steps_per_epoch = (plan.batches_per_epoch + plan.accumulation - 1) / plan.accumulation;
  plan.total_steps = length.max_train_epochs ? *length.max_train_epochs * plan.steps_per_epoch
                                             : length.max_train_steps;
  plan.epochs = (plan.total_steps + plan.steps_per_epoch - 1) / plan.steps_per_epoch;
  const int64_t whole = plan.total_steps / plan.steps_per_epoch;
  const int64_t rest = plan.total_steps % plan.steps_per_epoch;
  plan.ends_within_epoch = rest > 0;
  const double share = static_cast<double>(rest) * static_cast<double>(plan.accumulation) /
                       static_cast<double>(plan.batches_per_epoch);
  plan.images_seen = whole * plan.samples_per_epoch +
                     std::llround(share * static_cast<double>(plan.samples_per_epoch));
  return plan;
}

CheckpointNeeds checkpoint_needs(const StepPlan& steps, const SavePlan& saves) {
  CheckpointNeeds needs;
  if (steps.total_steps == 0) return needs;
  int64_t within = 0;
  if (saves.every_n_steps) within += steps.total_steps / *saves.every_n_steps;
  if (saves.every_n_epochs) within += saves_by_epochs(steps, *saves.every_n_epochs);
  needs.models = within + 1;
  if (saves.save_state) needs.states = within;
  if (saves.save_state || saves.save_state_on_train_end) ++needs.states;

  const Parameters& parameters = saves.is_v2 ? kV2 : kV1;
  const double state = kTrainedCopies * kFp32 * trained_parameters(parameters, saves);
  const double file = static_cast<double>(saves.model_bytes.value_or(0));
  if (saves.model_bytes && file < kLeastBytesPerWeight * parameters.all()) {
    needs.model_bytes = *saves.model_bytes;
    needs.state_bytes = static_cast<uint64_t>(state * file / (kFp32 * parameters.all()));
  } else {
    needs.model_bytes = static_cast<uint64_t>(model_bytes(parameters, saves));
    needs.state_bytes = static_cast<uint64_t>(state);
  }
  return needs;
}

uint64_t latent_bytes(const Dataset& dataset, bool posterior) {
  uint64_t bytes = 0;
  for (const Item& item : dataset.items) {
    const SubsetOptions& subset = dataset.subsets[item.subset];
    const uint64_t width = item.placement.bucket.width;
    const uint64_t height = item.placement.bucket.height;
    const uint64_t sides = subset.flip_aug ? 2 : 1;
    const uint64_t arrays = posterior ? 3 : 1;
    bytes += 4 * (width / 8) * (height / 8) * sizeof(float) * sides * arrays + kLatentFileOverhead;
    if (subset.alpha_mask) bytes += width * height * sizeof(float);
  }
  return bytes;
}

uint64_t free_bytes_near(const fs::path& folder) {
  std::error_code ignored;
  fs::path existing = fs::absolute(folder, ignored).lexically_normal();
  while (!fs::exists(existing, ignored) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  return free_bytes(existing);
}

std::vector<Finding> check_room(const std::vector<DiskPlace>& places) {
  std::map<uint64_t, std::vector<const DiskPlace*>> disks;
  for (const DiskPlace& place : places) disks[place.free].push_back(&place);
  std::vector<Finding> findings;
  for (const auto& [free, sharing] : disks) {
    uint64_t needed = 0;
    std::string purposes;
    for (const DiskPlace* place : sharing) {
      needed += place->needed;
      purposes += (purposes.empty() ? "" : " and ") + place->purpose;
    }
    if (needed <= free) continue;
    findings.push_back({FindingKind::kNoSpace,
                        sharing.front()->folder.string(),
                        fmt::format("{} need about {}, {} are free", purposes, bytes_text(needed),
                                    bytes_text(free)),
                        {}});
  }
  return findings;
}

std::string bytes_text(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} bytes", bytes);
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, kUnits[unit]);
}

}  // namespace sdtune
