// Sends what a run has written to the Hub (--huggingface_repo_id). What fails is a warning: a run
// never ends for it.
#pragma once

#include <future>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "hub/hub_settings.h"
#include "hub/upload.h"
#include "train/checkpoints.h"
#include "train/hub_options.h"

namespace sdtune {

class Uploads {
 public:
  // UsageError when the repository or the folder in it can be none.
  explicit Uploads(const HubOptions& options);
  ~Uploads();  // waits for what is under way

  // Uploads it now or, with --async_upload and more to come, in the background.
  void take(const SavedPlace& saved);

 private:
  void wait();

  HubSettings settings_;
  UploadTarget target_;
  bool takes_states_;
  std::unique_ptr<ThreadPool> background_;
  std::vector<std::future<void>> under_way_;
};

}  // namespace sdtune
