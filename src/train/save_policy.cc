#include "train/save_policy.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

namespace sdtune {

namespace {

using Kind = SaveMoment::Kind;

int64_t step_of(SaveMoment moment, int64_t steps_per_epoch) {
  return moment.kind == Kind::kEpoch ? moment.number * steps_per_epoch : moment.number;
}

void add_by_count(const Retention& retention, SaveMoment saved, std::span<const SaveMoment> there,
                  int64_t steps_per_epoch, std::vector<SaveMoment>& outdated) {
  std::vector<SaveMoment> older;
  for (const SaveMoment& moment : there) {
    if (moment != saved && step_of(moment, steps_per_epoch) <= step_of(saved, steps_per_epoch))
      older.push_back(moment);
  }
  std::sort(older.begin(), older.end(), [&](SaveMoment a, SaveMoment b) {
    const auto order = [&](SaveMoment moment) {
      return std::pair(step_of(moment, steps_per_epoch), moment.kind == Kind::kEpoch);
    };
    return order(a) > order(b);
  });
  const auto kept = static_cast<size_t>(*retention.last_n - 1);
  if (older.size() > kept) {
    outdated.insert(outdated.end(), older.begin() + static_cast<int64_t>(kept), older.end());
  }
}

}  // namespace

int64_t epochs_between_saves(const SaveOptions& options, int64_t epochs) {
  if (options.save_n_epoch_ratio) return std::max<int64_t>(1, epochs / *options.save_n_epoch_ratio);
  return options.save_every_n_epochs.value_or(0);
}

DueSaves due_saves(const SaveOptions& options, int64_t every_epochs, const SavePlace& place) {
  DueSaves due;
  if (every_epochs > 0 && place.ends_epoch && place.epoch % every_epochs == 0 && !place.is_end) {
    due.moments.push_back({Kind::kEpoch, place.epoch});
  }
  due.timed = options.save_every_n_minutes && place.minutes_passed >= *options.save_every_n_minutes;
  if (due.timed || (options.save_every_n_steps && place.step % *options.save_every_n_steps == 0)) {
    due.moments.push_back({Kind::kStep, place.step});
  }
  return due;
}

Retention model_retention(const SaveOptions& options, int64_t every_epochs) {
  return {every_epochs, options.save_every_n_steps.value_or(0), options.save_last_n_epochs,
          options.save_last_n_steps, options.save_last_n};
}

Retention state_retention(const SaveOptions& options, int64_t every_epochs) {
  const auto first = [](const auto& own, const auto& shared) { return own ? own : shared; };
  return {every_epochs, options.save_every_n_steps.value_or(0),
          first(options.save_last_n_epochs_state, options.save_last_n_epochs),
          first(options.save_last_n_steps_state, options.save_last_n_steps),
          first(options.save_last_n_state, options.save_last_n)};
}

std::vector<SaveMoment> outdated_saves(const Retention& retention, SaveMoment saved,
                                       std::span<const SaveMoment> there, int64_t steps_per_epoch) {
  std::vector<SaveMoment> outdated;
  if (saved.kind == Kind::kEpoch && retention.last_n_epochs && retention.every_n_epochs > 0) {
    const int64_t epoch = saved.number - retention.every_n_epochs * *retention.last_n_epochs;
    if (epoch > 0) outdated.push_back({Kind::kEpoch, epoch});
  }
  if (saved.kind == Kind::kStep && retention.last_n_steps && retention.every_n_steps > 0) {
    const int64_t newest = saved.number - *retention.last_n_steps - 1;
    const int64_t step = newest - newest % retention.every_n_steps;
    if (newest > 0 && step > 0) outdated.push_back({Kind::kStep, step});
  }
  std::erase_if(outdated, [&](const SaveMoment& moment) {
    return std::find(there.begin(), there.end(), moment) == there.end();
  });
  if (saved.kind != Kind::kEnd && retention.last_n) {
    add_by_count(retention, saved, there, steps_per_epoch, outdated);
  }
  return outdated;
}

std::vector<SaveMoment> saves_in(const std::filesystem::path& folder,
                                 const std::function<std::filesystem::path(SaveMoment)>& path_of) {
  std::vector<SaveMoment> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    // Whatever the name of the run holds: each number in it is tried as the save's.
    for (auto at = name.begin(); (at = std::find_if(at, name.end(), is_digit)) != name.end();) {
      const auto end = std::find_if_not(at, name.end(), is_digit);
      int64_t number = 0;
      const auto [used, failure] = std::from_chars(name.data() + (at - name.begin()),
                                                   name.data() + (end - name.begin()), number);
      for (const Kind kind : {Kind::kEpoch, Kind::kStep}) {
        if (failure == std::errc{} && path_of({kind, number}).filename() == name)
          found.push_back({kind, number});
      }
      at = end;
    }
  }
  return found;
}

}  // namespace sdtune
