// The record of a run: <output_dir>/<name>-run/ with run.toml (every option; alone it runs the job
// again) and events.jsonl (one JSON object a line, only ever appended to). The trainer writes,
// everybody else only reads, but for the request that `sdtune pause` leaves (run_control.h).
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/files.h"

namespace sdtune {

class RunFolder {
 public:
  static constexpr const char* kLock = "running.lock";  // held while the run goes

  // Makes the folder and writes run.toml; events of an earlier part of the same run stay. Error
  // when another run writes there.
  RunFolder(const std::filesystem::path& output_dir, const std::string& name,
            const std::string& run_toml);

  const std::filesystem::path& path() const { return path_; }
  // Appends {"time": …, "event": kind, …fields}. Synced to disk for all but "step" events. A disk
  // that is full costs the event and one warning, never the run.
  void event(const std::string& kind, const nlohmann::ordered_json& fields);

 private:
  std::filesystem::path path_;
  FileLock lock_;
  AppendFile events_;
  bool warned_ = false;
};

// Calls `visit` with each event of this kind in a run's record, in order; a line cut off by a crash
// is passed over.
void visit_events(const std::filesystem::path& run_folder, const std::string& kind,
                  const std::function<void(const nlohmann::json&)>& visit);

}  // namespace sdtune
