#include "commands/pause.h"

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "options/command_line.h"
#include "train/run_control.h"

namespace sdtune {

namespace {

std::vector<fs::path> running_in(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw Error("there is no such folder", folder.string());
  if (is_running(folder)) return {folder};
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && is_running(entry.path())) found.push_back(entry.path());
  }
  return found;
}

// A folder may hold several parts of one run; the last event is of the one that has just ended.
nlohmann::json last_event(const fs::path& run_folder) {
  std::ifstream file(run_folder / "events.jsonl");
  std::string line, last;
  while (std::getline(file, line)) last = line;
  return nlohmann::json::parse(last, nullptr, /*allow_exceptions=*/false);
}

// Returns true when the run has kept its state.
bool report(const fs::path& run_folder) {
  const nlohmann::json event = last_event(run_folder);
  const std::string kind = event.is_object() ? event.value("event", "") : "";
  if (kind == "stopped" && event.contains("state")) {
    log_info("paused at step {}; go on with --resume={}", event.value("step", int64_t{0}),
             event.value("state", ""));
    return true;
  }
  if (kind == "end") {
    log_info("the run had come to its end");
    return true;
  }
  log_error("the run of {} ended without a state; its messages say why", run_folder.string());
  return false;
}

void wait_for_end(const fs::path& run_folder, std::chrono::steady_clock::time_point deadline) {
  while (is_running(run_folder)) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw Error("the run has not ended in time", run_folder.string(),
                  "the request stays, and the run ends once its step is done; a longer --timeout "
                  "waits for it");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

int run_pause(std::span<const std::string> args) {
  PauseOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  const std::vector<fs::path> runs = running_in(options.output_dir);
  if (runs.empty()) {
    throw Error("nothing is training there", options.output_dir.string(),
                "give the --output_dir of a run; one that still reads its model takes no requests");
  }
  for (const fs::path& run : runs) request_pause(run);
  log_info("asked the run of {} to pause after its step", options.output_dir.string());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options.timeout);
  bool kept = true;
  for (const fs::path& run : runs) {
    wait_for_end(run, deadline);
    kept = report(run) && kept;
  }
  return kept ? 0 : 1;
}

}  // namespace sdtune
