// What makes a run end before its last step: a signal, `sdtune pause`, the time that it was given.
// Asked once a step.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace sdtune {

struct StopRequest {
  enum class Kind { kNone, kSignal, kPause, kTimeUp };
  Kind kind = Kind::kNone;
  int signal = 0;
};

// "90" (minutes), "2h30m", "1.5h", "45s". UsageError for anything else and for no time at all.
std::chrono::duration<double> parse_train_time(const std::string& text);

class RunControl {
 public:
  // The time counts from the start of the process. Requests to pause that an earlier run left in
  // the folder are dropped.
  RunControl(std::filesystem::path run_folder, const std::optional<std::string>& max_train_time);

  // A signal counts more than a pause, a pause more than the time. A pause is answered once.
  StopRequest asked();

 private:
  std::filesystem::path run_folder_;
  std::optional<std::chrono::duration<double>> time_;
};

// Whether a run writes into this folder at this moment.
bool is_running(const std::filesystem::path& run_folder);

// Asks the run that writes into the folder to end; it does after its step.
void request_pause(const std::filesystem::path& run_folder);

}  // namespace sdtune
