#include "train/trainer.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/system.h"
#include "options/config_file.h"
#include "options/option_table.h"
#include "train/latent_encoder.h"
#include "train/loss_curve.h"
#include "train/save_model.h"

namespace sdtune {

namespace {

LrSchedule make_schedule(const OptimizerOptions& options, int64_t total_steps) {
  return {lr_schedule_kind(options.lr_scheduler),
          total_steps,
          options.lr_warmup_steps.of(total_steps),
          options.lr_scheduler_num_cycles,
          options.lr_scheduler_power,
          options.learning_rate};
}

int64_t updates_per_epoch(const TrainOptions& options, int64_t batches) {
  return (batches + options.run.gradient_accumulation_steps - 1) /
         options.run.gradient_accumulation_steps;
}

// Which pictures with which captions, so that a resumed run can tell whether they changed.
std::string fingerprint(const Dataset& dataset) {
  Hasher hasher;
  for (const Item& item : dataset.items) {
    hasher.update(item.image.filename().string() + "\n" + item.caption + "\n");
  }
  return hasher.hex();
}

// Whether kept latents cannot stand in for the pictures.
bool augments_pixels(const Dataset& dataset) {
  return std::any_of(dataset.subsets.begin(), dataset.subsets.end(), changes_pixels);
}

// Whether the text encoder is asked the same thing in every epoch.
bool captions_stay(const Dataset& dataset) {
  return std::all_of(dataset.items.begin(), dataset.items.end(), [&](const Item& item) {
    return is_constant(item.caption, dataset.subsets[item.subset].caption);
  });
}

}  // namespace

Trainer::Trainer(TrainOptions& options, at::Device device)
    : options_(options),
      data_(read_dataset(options.dataset)),
      trainee_(make_trainee(options, device)),
      batches_per_epoch_(batches_per_epoch(data_.dataset)),
      total_steps_(options.run.max_train_epochs ? *options.run.max_train_epochs *
                                                      updates_per_epoch(options, batches_per_epoch_)
                                                : options.run.max_train_steps),
      trace_(options.log.trace_dir, options.log.trace_steps) {
  schedule_ = make_schedule(options.optimizer, total_steps_);
  trainee_.text_states =
      TextStates(!options.run.train_text_encoder && captions_stay(data_.dataset));
  const std::optional<std::string>& resume = options.save.resume;
  const auto state = resume == "auto" ? newest_state(options.run.output_dir)
                     : resume         ? std::optional<std::filesystem::path>(*resume)
                                      : std::nullopt;
  if (state) resume_from(*state);
  if (resume && !state)
    log_info("there is no state in {} yet; the run starts anew", options.run.output_dir.string());
  if (!options.run.seed) options.run.seed = static_cast<int64_t>(random_seed() >> 1);
  run_folder_ = std::make_unique<RunFolder>(options.run.output_dir, base_name(options),
                                            to_toml(describe(options), /*all=*/true));
}

void Trainer::resume_from(const std::filesystem::path& folder) {
  const RunState state = read_state(folder);
  const auto seed = static_cast<int64_t>(state.seed);
  if (options_.run.seed && *options_.run.seed != seed) {
    log_warning("the state's seed {} is used, not --seed={}", seed, *options_.run.seed);
  }
  options_.run.seed = seed;
  for (const std::string& change : describe_changes(state, run_state())) {
    log_warning("the run goes on under other conditions and will not repeat exactly: {}", change);
  }
  load_state_tensors(folder, trained_tensors());
  if (trainee_.scaler && state.scaler)
    trainee_.scaler->restore(state.scaler->scale, state.scaler->good_steps);
  position_ = state.position;
  if (position_.batch >= batches_per_epoch_) position_ = {position_.step, position_.epoch + 1, 0};
  log_info("resumed from {} at step {}", folder.string(), position_.step);
}

void Trainer::announce() const {
  const int64_t epochs = (total_steps_ + updates_per_epoch(options_, batches_per_epoch_) - 1) /
                         updates_per_epoch(options_, batches_per_epoch_);
  const int64_t batch_size = data_.dataset.largest_batch();
  const int64_t accumulation = options_.run.gradient_accumulation_steps;
  log_info("running training");
  log_info("  num examples: {}", data_.dataset.samples_per_epoch());
  log_info("  num batches per epoch: {}", batches_per_epoch_);
  log_info("  num epochs: {}", epochs);
  log_info("  batch size per device: {}", batch_size);
  log_info("  total train batch size (with accumulation): {}", batch_size * accumulation);
  log_info("  gradient accumulation steps: {}", accumulation);
  log_info("  total optimization steps: {}", total_steps_);
  log_info("  buckets: {}", data_.dataset.buckets.size());
  log_info("  device: {}, computing in {}", trainee_.device.str(),
           c10::toString(trainee_.precision.compute));
  log_info("  seed: {}", *options_.run.seed);
}

int Trainer::run() {
  announce();
  run_folder_->event("start", {{"step", position_.step},
                               {"total_steps", total_steps_},
                               {"since_process_start_s", seconds_since_start()},
                               {"reading_s", trainee_.reading_s},
                               {"pictures", data_.dataset.items.size()},
                               {"skipped_pictures", data_.dataset.skipped.size()},
                               {"seed", *options_.run.seed},
                               {"device", trainee_.device.str()},
                               {"processor", processor_name()},
                               {"threads", at::get_num_threads()}});
  if (const int signal = prepare_latents()) return 128 + signal;
  BatchLoader loader(data_.dataset,
                     {.seed = static_cast<uint64_t>(*options_.run.seed),
                      .first_epoch = position_.epoch,
                      .first_batch = position_.batch,
                      .threads = loader_threads(options_.dataset),
                      .gradient_accumulation_steps = options_.run.gradient_accumulation_steps,
                      .total_steps = total_steps_,
                      .source = source_});
  Progress progress({.label = "steps", .total = total_steps_, .start = position_.step});
  while (position_.step < total_steps_ && stop_signal() == 0) {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<LoadedBatch> batches = next_batches(loader);
    const std::chrono::duration<double> data_s = std::chrono::steady_clock::now() - begin;
    const StepResult result = step(batches);
    advance(batches.back());
    if (result.images == 0) continue;
    ++position_.step;
    record(result, data_s.count(), progress);
    save_due_at(batches.back());
  }
  progress.finish();
  return finish(position_.step < total_steps_ ? stop_signal() : 0);
}

// Where batches come from: pictures, or latents that were kept. Returns the signal that stopped it.
int Trainer::prepare_latents() {
  const CacheFlags& flags = options_.dataset.cache;
  source_ = pixel_source(options_.dataset.pictures.fast_decode);
  LatentCacheOptions cache = latent_cache_options(options_.dataset, data_.index.get());
  // Metadata made by `prepare` alone is enough, as it was in sd-scripts.
  if (!flags.cache_latents && !flags.cache_latents_to_disk) {
    if (!uses_found_latents(options_.dataset) || augments_pixels(data_.dataset)) return 0;
    cache.to_disk = true;
  }
  const LatentEncoder encoder = latent_encoder(*trainee_.vae, *trainee_.source, trainee_.device);
  latents_ = std::make_unique<LatentCache>(data_.dataset, cache);
  if (flags.cache_latents || flags.cache_latents_to_disk) {
    log_report(latents_->fill(encoder));
    if (stop_signal() != 0) return stop_signal();
  } else if (latents_->is_complete(encoder.fingerprint)) {
    log_info("all pictures have latents beside them, which are used");
  } else {
    log_warning(
        "not every picture has latents that can be used; all are encoded as they come. `sdtune "
        "prepare` makes the missing ones");
    return 0;
  }
  source_ = latents_->source();
  trainee_.vae.reset();
  return 0;
}

// As many batches as are accumulated for one step; fewer at the end of an epoch.
std::vector<LoadedBatch> Trainer::next_batches(BatchLoader& loader) const {
  std::vector<LoadedBatch> batches;
  do {
    batches.push_back(loader.next());
  } while (static_cast<int64_t>(batches.size()) < options_.run.gradient_accumulation_steps &&
           !batches.back().is_last_of_epoch);
  return batches;
}

void Trainer::advance(const LoadedBatch& last) {
  position_.epoch = last.is_last_of_epoch ? last.epoch + 1 : last.epoch;
  position_.batch = last.is_last_of_epoch ? 0 : last.index + 1;
}

StepResult Trainer::step(std::span<const LoadedBatch> batches) {
  const StepPlace place{static_cast<uint64_t>(*options_.run.seed), position_.step,
                        batches.front().epoch, data_.dataset.largest_batch(),
                        schedule_.factor(position_.step)};
  return training_step(trainee_, batches, place, options_.optimizer.max_grad_norm, trace_);
}

void Trainer::record(const StepResult& result, double data_s, Progress& progress) {
  recent_losses_.push_back(result.loss);
  if (static_cast<int64_t>(recent_losses_.size()) > batches_per_epoch_) recent_losses_.pop_front();
  const double average = std::accumulate(recent_losses_.begin(), recent_losses_.end(), 0.0) /
                         static_cast<double>(recent_losses_.size());
  const double seconds = data_s + result.encode_s + result.unet_s + result.update_s;
  const double rate = static_cast<double>(result.images) / seconds;
  const double lr = trainee_.optimizer->rate_in_use(0, schedule_.factor(position_.step - 1));
  run_folder_->event("step", {{"step", position_.step},
                              {"loss", result.loss},
                              {"lr", lr},
                              {"grad_norm", result.grad_norm},
                              {"updated", result.updated},
                              {"images", result.images},
                              {"images_per_s", rate},
                              {"data_s", data_s},
                              {"encode_s", result.encode_s},
                              {"unet_s", result.unet_s},
                              {"update_s", result.update_s},
                              {"resident_bytes", resident_bytes()}});
  progress.update(position_.step, fmt::format("avr_loss={:.4g}, {:.2f} img/s, {:.1f} GB", average,
                                              rate, static_cast<double>(resident_bytes()) / 1e9));
}

// Models first, then states: a state on disk says that everything due before it is there too.
void Trainer::save_due_at(const LoadedBatch& last) {
  std::vector<SaveMoment> due;
  const std::optional<int64_t>& every_epochs = options_.save.save_every_n_epochs;
  const std::optional<int64_t>& every_steps = options_.save.save_every_n_steps;
  const int64_t epoch = last.epoch + 1;
  if (every_epochs && last.is_last_of_epoch && epoch % *every_epochs == 0 &&
      position_.step < total_steps_) {
    due.push_back({SaveMoment::Kind::kEpoch, epoch});
  }
  if (every_steps && position_.step % *every_steps == 0)
    due.push_back({SaveMoment::Kind::kStep, position_.step});
  for (const SaveMoment& moment : due) save_model(moment);
  if (!options_.save.save_state) return;
  for (const SaveMoment& moment : due) save_run_state(moment);
}

void Trainer::save_model(SaveMoment moment) {
  const auto path = save_trained_model(trainee_, options_, moment, position_);
  log_info("saved {}", path.string());
  run_folder_->event("checkpoint", {{"step", position_.step}, {"path", path.string()}});
}

void Trainer::save_run_state(SaveMoment moment) {
  const std::filesystem::path folder = state_folder(options_, moment);
  save_state(folder, run_state(), trained_tensors());
  log_info("saved {}", folder.string());
  run_folder_->event("state", {{"step", position_.step}, {"path", folder.string()}});
}

int Trainer::finish(int signal) {
  const std::filesystem::path& folder = run_folder_->path();
  if (signal != 0) {
    const SaveMoment moment{SaveMoment::Kind::kStep, position_.step};
    save_run_state(moment);
    run_folder_->event("stopped", {{"step", position_.step}, {"signal", signal}});
    log_info("stopped by signal {}; go on with --resume={}", signal,
             state_folder(options_, moment).string());
  } else {
    save_model({});
    if (options_.save.save_state || options_.save.save_state_on_train_end) save_run_state({});
    run_folder_->event("end",
                       {{"step", position_.step}, {"peak_resident_bytes", peak_resident_bytes()}});
  }
  draw_loss_curve(folder);
  log_info("the record of the run is in {}", folder.string());
  return signal == 0 ? 0 : 128 + signal;
}

RunState Trainer::run_state() const {
  RunState state;
  state.position = position_;
  state.seed = static_cast<uint64_t>(options_.run.seed.value_or(0));
  if (trainee_.scaler)
    state.scaler = {trainee_.scaler->current_scale(), trainee_.scaler->good_steps()};
  state.made_with = {
      {"threads", std::to_string(at::get_num_threads())},
      {"processor", processor_name()},
      {"device", trainee_.device.str()},
      {"computing in", c10::toString(trainee_.precision.compute)},
      {"batch size", std::to_string(data_.dataset.largest_batch())},
      {"gradient accumulation steps", std::to_string(options_.run.gradient_accumulation_steps)},
      {"pictures and captions", fingerprint(data_.dataset)},
      {"total steps", std::to_string(total_steps_)},
  };
  return state;
}

TrainedTensors Trainer::trained_tensors() {
  TrainedTensors tensors{named_parameters(trainee_.unet), {}, trainee_.optimizer.get()};
  if (trainee_.trains_text_encoder) tensors.text_encoder = named_parameters(trainee_.text_encoder);
  return tensors;
}

}  // namespace sdtune
