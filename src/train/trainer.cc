#include "train/trainer.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/rank.h"
#include "base/system.h"
#include "data/dataset_facts.h"
#include "options/config_file.h"
#include "options/option_table.h"
#include "train/device_memory.h"
#include "train/loss_curve.h"
#include "train/run_start.h"
#include "train/save_model.h"

namespace sdtune {

Trainer::Trainer(TrainOptions& options, at::Device device, std::vector<PromptLine> prompts)
    : options_(options),
      start_(choose_start(options)),
      data_(read_pictures(options)),
      validation_pictures_(take_validation_pictures(data_.dataset, options.validation)),
      trainee_(make_trainee(options, device)),
      batches_per_epoch_(batches_per_epoch(data_.dataset)),
      total_steps_(options.run.max_train_epochs ? *options.run.max_train_epochs *
                                                      updates_per_epoch(options, batches_per_epoch_)
                                                : options.run.max_train_steps),
      trace_(options.log.trace_dir, options.log.trace_steps),
      nan_guard_(options.control.max_nan_steps) {
  check_can_save(trainee_, options_);
  schedule_ = make_run_schedule(options.schedule, options.optimizer.learning_rate, total_steps_);
  trainee_.text_states =
      TextStates(!options.run.train_text_encoder && captions_stay(data_.dataset));
  if (start_) resume_from(*start_);
  run_folder_ = std::make_unique<RunFolder>(options.run.output_dir, base_name(options),
                                            to_toml(describe(options), /*all=*/true));
  if (!prompts.empty()) {
    previews_ = std::make_unique<Previews>(options, std::move(prompts), *run_folder_,
                                           rank_from_environment());
  }
  checkpoints_ = std::make_unique<Checkpoints>(options, trainee_, *run_folder_,
                                               epochs_between_saves(options.save, epochs()),
                                               updates_per_epoch(options, batches_per_epoch_));
  if (start_) checkpoints_->resumed_from(*start_);
  control_ = std::make_unique<RunControl>(run_folder_->path(), options.control.max_train_time);
  log_ = std::make_unique<RunLog>(options, *run_folder_, *trainee_.optimizer, trainee_.device,
                                  batches_per_epoch_);
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
  take_weights(folder, state);
  if (schedule_.plateau && state.plateau) schedule_.plateau->restore(*state.plateau);
  position_ = state.position;
  if (position_.batch >= batches_per_epoch_) position_ = {position_.step, position_.epoch + 1, 0};
  log_info("resumed from {} at step {}", folder.string(), position_.step);
}

void Trainer::take_weights(const std::filesystem::path& folder, const RunState& state) {
  load_state_tensors(folder, trained_tensors(trainee_));
  if (trainee_.scaler && state.scaler)
    trainee_.scaler->restore(state.scaler->scale, state.scaler->good_steps);
}

int64_t Trainer::epochs() const {
  const int64_t updates = updates_per_epoch(options_, batches_per_epoch_);
  return (total_steps_ + updates - 1) / updates;
}

void Trainer::announce() const {
  const int64_t batch_size = data_.dataset.largest_batch();
  const int64_t accumulation = options_.run.gradient_accumulation_steps;
  log_info("running training");
  log_info("  num examples: {}", data_.dataset.samples_per_epoch());
  log_info("  num batches per epoch: {}", batches_per_epoch_);
  log_info("  num epochs: {}", epochs());
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
  memory_ = announce_memory(trainee_, options_, data_.dataset);
  run_folder_->event("start", {{"step", position_.step},
                               {"total_steps", total_steps_},
                               {"since_process_start_s", seconds_since_start()},
                               {"reading_s", trainee_.reading_s},
                               {"pictures", data_.dataset.items.size()},
                               {"skipped_pictures", data_.dataset.skipped.size()},
                               {"seed", *options_.run.seed},
                               {"device", trainee_.device.str()},
                               {"processor", processor_name()},
                               {"threads", at::get_num_threads()},
                               {"expected_peak_bytes", memory_.peak}});
  if (validation_pictures_) {
    validation_.emplace(*validation_pictures_, trainee_, options_.validation);
  }
  source_ = make_batch_source(options_, data_, trainee_);
  if (source_.signal != 0) return 128 + source_.signal;
  if (source_.latents && !previews_) trainee_.vae.reset();
  if (previews_ && options_.preview.sample_at_first && position_.step == 0) {
    previews_->draw(trainee_, 0, 0);
  }
  if (options_.loss.masked_loss) source_.items = masked_source(std::move(source_.items));
  reset_peak_bytes(trainee_.device);  // steps are what expected_peak_bytes is of
  StopRequest request;
  try {
    request = train();
  } catch (...) {
    save_before_failure();
    throw;
  }
  return request.kind == StopRequest::Kind::kNone ? finish() : stop(request);
}

// Epochs whose pictures could not all be read have fewer steps than were planned.
bool Trainer::is_over() const {
  const std::optional<int64_t>& epochs = options_.run.max_train_epochs;
  return position_.step >= total_steps_ || (epochs && position_.epoch >= *epochs);
}

// To the last step, or to the first request to stop.
StopRequest Trainer::train() {
  BatchLoader loader(data_.dataset,
                     {.seed = static_cast<uint64_t>(*options_.run.seed),
                      .first_epoch = position_.epoch,
                      .first_batch = position_.batch,
                      .threads = loader_threads(options_.dataset),
                      .gradient_accumulation_steps = options_.run.gradient_accumulation_steps,
                      .total_steps = total_steps_,
                      .source = source_.items});
  Progress progress({.label = "steps", .total = total_steps_, .start = position_.step});
  while (!is_over()) {
    const StopRequest request = control_->asked();
    if (request.kind != StopRequest::Kind::kNone) return request;
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<LoadedBatch> batches = next_batches(loader);
    const std::chrono::duration<double> data_s = std::chrono::steady_clock::now() - begin;
    const StepResult result = step(batches);
    const LoadedBatch& last = batches.back();
    advance(last);
    if (result.images > 0) {
      ++position_.step;
      log_->step(result,
                 {position_.step, schedule_.schedule.factor(position_.step - 1), data_s.count()},
                 progress);
      record_loss_bands(result);
    } else if (!last.is_last_of_epoch) {
      continue;  // none of its pictures could be read
    }
    if (last.is_last_of_epoch) log_->end_of_epoch(last.epoch + 1);
    const double loss = result.images > 0 ? result.loss : NAN;  // which counts for nothing
    if (schedule_.plateau) schedule_.plateau->observe(loss, last.is_last_of_epoch);
    if (result.images > 0) guard(result, batches);
    validate_if_due(last);
    preview_if_due(last);
    save_due_at(last);
  }
  return {};
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
                        data_.dataset.largest_batch(), schedule_.schedule.factor(position_.step)};
  const std::optional<int64_t>& stop = options_.run.stop_text_encoder_training;
  trainee_.text_encoder_learns = trainee_.trains_text_encoder && (!stop || position_.step < *stop);
  StepResult result;
  try {
    result = training_step(trainee_, batches, place,
                           {options_.optimizer.max_grad_norm, options_.precision.clip_per_tensor},
                           trace_);
  } catch (const c10::Error& error) {
    if (!is_out_of_memory(error)) throw;
    throw no_memory_for_a_step(error, trainee_, options_, data_.dataset);
  }
  if (trainee_.ema && result.updated) trainee_.ema->update(position_.step);
  return result;
}

void Trainer::guard(const StepResult& result, std::span<const LoadedBatch> batches) {
  const NanGuard::Verdict verdict =
      nan_guard_.judge(result.finite, checkpoints_->last_state().has_value());
  if (verdict == NanGuard::Verdict::kGood) return;
  const BadOrigin origin = origin_of(result, batches, data_.dataset, trainee_.precision.vae);
  const std::string pictures = picture_names(data_.dataset, batches);
  log_warning("step {} is skipped, it is not finite, beginning with {}; its pictures: {}{}{}",
              position_.step, origin.what, pictures, origin.hint.empty() ? "" : "; ", origin.hint);
  run_folder_->event(
      "not_finite", {{"step", position_.step}, {"first_bad", origin.what}, {"pictures", pictures}});
  if (verdict == NanGuard::Verdict::kGoBack) go_back();
  if (verdict == NanGuard::Verdict::kGiveUp) {
    throw Error(
        fmt::format("{} steps in a row were not finite{}, beginning with {}",
                    options_.control.max_nan_steps,
                    checkpoints_->last_state() ? ", also with the weights of the last state" : "",
                    origin.what),
        fmt::format("step {}", position_.step),
        !origin.hint.empty()
            ? origin.hint
            : "lower --learning_rate, look at the pictures named above, or use bf16 or fp32; "
              "with --save_state a run can go back to earlier weights by itself");
  }
}

// The weights, the optimizer and the loss scale of the last state; steps and draws go on, as the
// same draws would end the same way.
void Trainer::go_back() {
  const fs::path folder = *checkpoints_->last_state();
  const RunState state = read_state(folder);
  take_weights(folder, state);
  log_warning("{} steps in a row were not finite: the weights of {} are taken",
              options_.control.max_nan_steps, folder.string());
  run_folder_->event("went_back", {{"step", position_.step}, {"state", folder.string()}});
}

void Trainer::record_loss_bands(const StepResult& result) {
  const int64_t every = options_.loss.loss_bands_every_n_steps;
  if (every == 0) return;
  for (size_t i = 0; i < result.timesteps.size(); ++i) {
    loss_bands_.add(result.timesteps[i], result.sample_losses[i]);
  }
  if (position_.step % every != 0 && !is_over()) return;
  run_folder_->event("loss_bands", {{"step", position_.step}, {"bands", loss_bands_.to_json()}});
  loss_bands_.clear();
}

void Trainer::validate_if_due(const LoadedBatch& last) {
  if (!validation_ ||
      !(is_over() || validation_->is_due(position_.step, last.is_last_of_epoch, last.epoch + 1))) {
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  const ValidationResult result = validation_->measure(trainee_);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  log_->validation(position_.step, result, seconds.count());
}

void Trainer::preview_if_due(const LoadedBatch& last) {
  const int64_t epochs_done = last.is_last_of_epoch ? last.epoch + 1 : last.epoch;
  if (previews_ && previews_->is_due(position_.step, last.is_last_of_epoch, epochs_done)) {
    previews_->draw(trainee_, position_.step, epochs_done);
  }
}

// Models first, then states: a state on disk says that everything due before it is there too.
void Trainer::save_due_at(const LoadedBatch& last) {
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double, std::ratio<60>> passed = now - last_timed_save_;
  const DueSaves due =
      due_saves(options_.save, epochs_between_saves(options_.save, epochs()),
                {position_.step, is_over(), last.epoch + 1, last.is_last_of_epoch, passed.count()});
  if (due.moments.empty()) return;
  if (due.timed) last_timed_save_ = now;
  if (nan_guard_.in_trouble()) {
    log_warning("nothing is saved at step {}, whose loss is not finite", position_.step);
    return;
  }
  for (const SaveMoment& moment : due.moments) checkpoints_->save_model(moment, position_);
  if (!options_.save.save_state) return;
  for (const SaveMoment& moment : due.moments) save_run_state(moment);
}

bool Trainer::save_run_state(SaveMoment moment) {
  return checkpoints_->save_state(moment, run_state());
}

void Trainer::close_record() {
  try {
    draw_loss_curve(run_folder_->path());
    if (previews_) draw_preview_sheet(options_.run.output_dir, run_folder_->path());
  } catch (const std::exception& error) {
    log_warning("the run's last pictures were not all drawn: {}", error.what());
  }
  log_info("the record of the run is in {}", run_folder_->path().string());
}

int Trainer::finish() {
  const SaveOptions& save = options_.save;
  const bool has_model = checkpoints_->save_model({}, position_);
  // The state can still become the model once there is room.
  bool has_state = true;
  if (save.save_state || save.save_state_on_train_end || !has_model) has_state = save_run_state({});
  const uint64_t peak = peak_bytes_in_use(trainee_.device);
  run_folder_->event("end", {{"step", position_.step},
                             {"saved", has_model && has_state},
                             {"peak_resident_bytes", peak_resident_bytes()},
                             {"peak_bytes", peak},
                             {"expected_peak_bytes", memory_.peak}});
  log_info("peak memory: {:.1f} GB of {}; {:.1f} GB were expected", static_cast<double>(peak) / 1e9,
           trainee_.device.is_cuda() ? "the GPU" : "the process",
           static_cast<double>(memory_.peak) / 1e9);
  close_record();
  if (has_model) return has_state ? 0 : 1;
  if (!has_state) {
    throw Error(
        "neither the model nor its state could be written", options_.run.output_dir.string(),
        "the reasons stand above; make room, and run again with --resume=auto if there is an "
        "earlier state");
  }
  log_error(
      "the model could not be written, but its state is in {}: the same command with "
      "--resume=auto writes the model",
      state_folder(options_, {}).string());
  return 1;
}

// What was learned outlives the failure, unless it came from an update or the weights are what
// failed.
void Trainer::save_before_failure() {
  const std::optional<fs::path> before = checkpoints_->last_state();
  if (trainee_.is_updating || nan_guard_.in_trouble() || position_.step == 0) return;
  const SaveMoment moment{SaveMoment::Kind::kStep, position_.step};
  try {
    if (!save_run_state(moment) || checkpoints_->last_state() == before) return;
  } catch (const std::exception& error) {
    log_warning("the state before the failure was not written: {}", error.what());
    return;
  }
  log_info("the run failed after step {}; go on with --resume={}", position_.step,
           state_folder(options_, moment).string());
}

int Trainer::stop(StopRequest request) {
  using Kind = StopRequest::Kind;
  const SaveMoment moment{SaveMoment::Kind::kStep, position_.step};
  const std::string reason = request.kind == Kind::kPause ? "pause"
                             : request.kind == Kind::kTimeUp
                                 ? "time is up"
                                 : fmt::format("signal {}", request.signal);
  const bool has_model =
      request.kind != Kind::kTimeUp || checkpoints_->save_model(moment, position_);
  const fs::path state = state_folder(options_, moment);
  const bool has_state = save_run_state(moment);
  nlohmann::ordered_json event = {{"step", position_.step}, {"reason", reason}};
  if (request.kind == Kind::kSignal) event["signal"] = request.signal;
  if (has_state) event["state"] = state.string();
  run_folder_->event("stopped", event);
  close_record();
  if (!has_state) {
    log_error("stopped at step {} ({}), but its state could not be written", position_.step,
              reason);
    return 1;
  }
  log_info("stopped at step {} ({}); go on with --resume={}", position_.step, reason,
           state.string());
  if (request.kind == Kind::kSignal) return 128 + request.signal;
  return has_model ? 0 : 1;
}

RunState Trainer::run_state() const {
  RunState state;
  state.position = position_;
  state.seed = static_cast<uint64_t>(options_.run.seed.value_or(0));
  if (trainee_.scaler)
    state.scaler = {trainee_.scaler->current_scale(), trainee_.scaler->good_steps()};
  if (schedule_.plateau) state.plateau = schedule_.plateau->state();
  state.made_with = conditions_of(trainee_, options_, data_.dataset, total_steps_);
  return state;
}

}  // namespace sdtune
