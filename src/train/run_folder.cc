#include "train/run_folder.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/system.h"

namespace sdtune {

namespace {

std::filesystem::path made(std::filesystem::path folder) {
  make_writable_folder(folder);
  return folder;
}

// A crash or a full disk may have left half a line.
bool ends_within_a_line(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return file.seekg(-1, std::ios::end) && file.get() != '\n';
}

}  // namespace

RunFolder::RunFolder(const std::filesystem::path& output_dir, const std::string& name,
                     const std::string& run_toml)
    : path_(made(output_dir / (name + "-run"))),
      lock_(path_ / kLock),
      events_(path_ / "events.jsonl") {
  write_file(path_ / "run.toml", run_toml);
  if (ends_within_a_line(path_ / "events.jsonl")) events_.append("");
}

void RunFolder::event(const std::string& kind, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json line;
  line["time"] = local_time_iso8601();
  line["event"] = kind;
  for (const auto& [key, value] : fields.items()) line[key] = value;
  // A loss that is not finite becomes null, as JSON has no word for it.
  try {
    events_.append(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                   kind != "step");
    warned_ = false;
  } catch (const Error& error) {
    if (!std::exchange(warned_, true))
      log_warning("the record of the run has gaps: {} ({})", error.what(), error.where());
  }
}

void visit_events(const std::filesystem::path& run_folder, const std::string& kind,
                  const std::function<void(const nlohmann::json&)>& visit) {
  std::ifstream file(run_folder / "events.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object() && event.value("event", "") == kind) visit(event);
  }
}

}  // namespace sdtune
