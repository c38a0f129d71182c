#include "train/checkpoints.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "base/files.h"
#include "base/log.h"
#include "train/save_model.h"

namespace sdtune {

TrainedTensors trained_tensors(Trainee& trainee) {
  TrainedTensors tensors{.optimizer = trainee.optimizer.get()};
  if (trainee.hypernetwork) {
    tensors.hypernetwork = named_parameters(*trainee.hypernetwork);
  } else {
    tensors.unet = named_parameters(trainee.unet);
  }
  if (trainee.ema) tensors.ema = trainee.ema->averages();
  if (trainee.trains_text_encoder) tensors.text_encoder = named_parameters(trainee.text_encoder);
  return tensors;
}

Checkpoints::Checkpoints(const TrainOptions& options, Trainee& trainee, RunFolder& record,
                         int64_t every_epochs, int64_t steps_per_epoch)
    : options_(options),
      trainee_(trainee),
      record_(record),
      every_epochs_(every_epochs),
      steps_per_epoch_(steps_per_epoch) {}

bool Checkpoints::attempt(const char* event, const fs::path& path, int64_t step,
                          const std::function<void()>& write) {
  try {
    write();
  } catch (const std::exception& error) {
    log_warning("{} was not written: {}", path.string(), error.what());
    record_.event("save_failed",
                  {{"step", step}, {"path", path.string()}, {"reason", error.what()}});
    return false;
  }
  log_info("saved {}", path.string());
  record_.event(event, {{"step", step}, {"path", path.string()}});
  return true;
}

bool Checkpoints::save_model(SaveMoment moment, const Position& position) {
  if (last_model_ == moment) return true;
  const bool saved = save_one_model(moment, position, /*ema=*/false);
  const bool saved_average = !trainee_.ema || save_one_model(moment, position, /*ema=*/true);
  if (saved && saved_average) last_model_ = moment;
  return saved && saved_average;
}

bool Checkpoints::save_one_model(SaveMoment moment, const Position& position, bool ema) {
  const auto form_of = [&](SaveMoment of) {
    of.ema = ema;
    return of;
  };
  const auto path_of = [&](SaveMoment of) {
    return trained_model_path(trainee_, options_, form_of(of));
  };
  if (!attempt("checkpoint", path_of(moment), position.step,
               [&] { save_trained_model(trainee_, options_, form_of(moment), position); })) {
    return false;
  }
  on_saved_({path_of(moment), /*is_state=*/false, moment.kind == SaveMoment::Kind::kEnd});
  remove_outdated(model_retention(options_.save, every_epochs_), moment, path_of);
  return true;
}

bool Checkpoints::save_state(SaveMoment moment, const RunState& state) {
  const auto path_of = [&](SaveMoment of) { return state_folder(options_, of); };
  const fs::path folder = path_of(moment);
  if (last_state_ == folder && moment.kind != SaveMoment::Kind::kEnd) return true;
  if (!attempt("state", folder, state.position.step,
               [&] { sdtune::save_state(folder, state, trained_tensors(trainee_)); })) {
    return false;
  }
  last_state_ = folder;
  on_saved_({folder, /*is_state=*/true, moment.kind == SaveMoment::Kind::kEnd});
  remove_outdated(state_retention(options_.save, every_epochs_), moment, path_of);
  return true;
}

void Checkpoints::remove_outdated(const Retention& retention, SaveMoment saved,
                                  const PathOf& path_of) {
  const std::vector<SaveMoment> there = saves_in(options_.run.output_dir, path_of);
  for (const SaveMoment& old : outdated_saves(retention, saved, there, steps_per_epoch_)) {
    // What is under way of being removed must not look like a whole one.
    const fs::path path = path_of(old), doomed = temporary_name(path);
    std::error_code failure;
    fs::rename(path, doomed, failure);
    if (!failure) fs::remove_all(doomed, failure);
    if (failure) {
      log_warning("{} could not be removed: {}", path.string(), failure.message());
      continue;
    }
    log_info("removed {}", path.string());
    record_.event("removed", {{"path", path.string()}});
  }
}

}  // namespace sdtune
