#include "train/run_control.h"

#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/system.h"
#include "train/run_folder.h"

namespace sdtune {

namespace {

fs::path request_file(const fs::path& run_folder) { return run_folder / "pause"; }

std::optional<double> seconds_of_unit(char unit) {
  if (unit == 'h') return 3600;
  if (unit == 'm') return 60;
  if (unit == 's') return 1;
  return std::nullopt;
}

}  // namespace

std::chrono::duration<double> parse_train_time(const std::string& text) {
  const auto fail = [&] {
    return UsageError(fmt::format("\"{}\" is no length of time", text), "--max_train_time",
                      "give minutes, or hours, minutes and seconds as 2h30m or 45s");
  };
  double seconds = 0;
  for (const char* at = text.c_str(); *at != '\0';) {
    char* end = nullptr;
    const double number = std::strtod(at, &end);
    if (*at < '0' || *at > '9' || !(number < 1e9)) throw fail();
    const std::optional<double> unit = seconds_of_unit(*end);
    if (!unit && (*end != '\0' || at != text.c_str())) throw fail();
    seconds += number * unit.value_or(60);
    at = unit ? end + 1 : end;
  }
  if (seconds <= 0) throw fail();
  return std::chrono::duration<double>(seconds);
}

RunControl::RunControl(fs::path run_folder, const std::optional<std::string>& max_train_time)
    : run_folder_(std::move(run_folder)) {
  if (max_train_time) time_ = parse_train_time(*max_train_time);
  std::error_code ignored;
  fs::remove(request_file(run_folder_), ignored);
}

StopRequest RunControl::asked() {
  if (const int signal = stop_signal()) return {StopRequest::Kind::kSignal, signal};
  std::error_code ignored;
  if (fs::remove(request_file(run_folder_), ignored)) return {StopRequest::Kind::kPause};
  if (time_ && seconds_since_start() >= time_->count()) return {StopRequest::Kind::kTimeUp};
  return {};
}

bool is_running(const fs::path& run_folder) {
  return FileLock::is_held(run_folder / RunFolder::kLock);
}

void request_pause(const fs::path& run_folder) { write_file(request_file(run_folder), ""); }

}  // namespace sdtune
