// What of a run goes to the Hugging Face Hub and what comes from it, with sd-scripts' names. The
// exchange itself is the command's.
#pragma once

#include <optional>
#include <string>

#include "options/option.h"

namespace sdtune {

struct HubOptions {
  std::optional<std::string> repo_id, repo_type, path_in_repo, token, repo_visibility;
  bool save_state = false;
  bool resume = false;
  bool async_upload = false;

  template <class V>
  void visit(V& v) {
    v.group("Hugging Face Hub");
    v("huggingface_repo_id", repo_id,
      "Upload each model written to this repository, \"org/name\"; it is made where it is missing. "
      "An upload that fails costs a warning.");
    v("huggingface_repo_type", repo_type, "Kind of the repository; a model's when not given.",
      Choices{"model", "dataset", "space"});
    v("huggingface_path_in_repo", path_in_repo,
      "Folder of the repository to upload to; its root when not given.");
    v("huggingface_token", token, "Token to upload with; HF_TOKEN's when not given.", Unrecorded{});
    v("huggingface_repo_visibility", repo_visibility,
      "\"public\" lets everybody see a repository that is made; others are private.");
    v("save_state_to_huggingface", save_state, "Upload states too.");
    v("async_upload", async_upload,
      "Train on while uploading. The end of the run waits for all uploads.");
    v("resume_from_huggingface", resume,
      "--resume names a folder on the Hub: user/repository/path[:revision[:type]].");
  }
};

}  // namespace sdtune
