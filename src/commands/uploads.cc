#include "commands/uploads.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"

namespace sdtune {
namespace {

constexpr uint64_t kMegabyte = 1'000'000;

HubPlace place_of(const HubOptions& options) {
  HubPlace place;
  place.repo = *options.repo_id;
  place.type = options.repo_type.value_or("model");
  place.path = options.path_in_repo.value_or("");
  while (place.path.ends_with('/')) place.path.pop_back();
  if (!is_repo_name(place.repo)) {
    throw UsageError(fmt::format("\"{}\" is no name of a repository", place.repo),
                     "--huggingface_repo_id", "give it as org/name");
  }
  if (!place.path.empty() && !is_safe_path(place.path)) {
    throw UsageError(fmt::format("\"{}\" is no folder of a repository", place.path),
                     "--huggingface_path_in_repo", "give it as folder or folder/folder");
  }
  return place;
}

void upload_or_warn(const HubSettings& settings, const UploadTarget& target, const fs::path& saved,
                    const UploadProgress& on_progress) {
  const std::string goal =
      target.place.repo + (target.place.path.empty() ? "" : "/" + target.place.path);
  try {
    upload(settings, target, saved, on_progress);
    log_info("uploaded {} to {}", saved.string(), goal);
  } catch (const Error& error) {
    log_warning("{} was not uploaded to {}: {} ({})", saved.string(), goal, error.what(),
                error.hint().empty() ? error.where() : error.hint());
  } catch (const std::exception& error) {
    log_warning("{} was not uploaded to {}: {}", saved.string(), goal, error.what());
  }
}

}  // namespace

Uploads::Uploads(const HubOptions& options)
    : settings_(hub_settings_from_environment()),
      target_{place_of(options), options.repo_visibility == "public"},
      takes_states_(options.save_state) {
  if (options.token) settings_.token = *options.token;
  if (settings_.token.empty()) {
    log_warning(
        "uploads to {} will fail without a token: set HF_TOKEN, or give "
        "--huggingface_token",
        target_.place.repo);
  }
  if (options.async_upload) background_ = std::make_unique<ThreadPool>(1);
}

Uploads::~Uploads() { wait(); }

void Uploads::wait() {
  for (std::future<void>& task : under_way_) {
    if (task.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      log_info("waiting for uploads that are under way");
    }
    task.wait();
  }
  under_way_.clear();
}

void Uploads::take(const SavedPlace& saved) {
  if (saved.is_state && !takes_states_) return;
  if (background_ && !saved.is_last) {
    under_way_.push_back(background_->submit([this, path = saved.path] {
      upload_or_warn(settings_, target_, path, [](uint64_t, uint64_t) {});
    }));
    return;
  }
  wait();
  std::optional<Progress> progress;
  upload_or_warn(settings_, target_, saved.path, [&](uint64_t sent, uint64_t total) {
    const auto megabytes = static_cast<int64_t>(std::max(total / kMegabyte, uint64_t{1}));
    if (!progress)
      progress.emplace(ProgressOptions{.label = "uploading", .total = megabytes, .unit = "MB"});
    progress->update(static_cast<int64_t>(sent / kMegabyte));
  });
}

}  // namespace sdtune
