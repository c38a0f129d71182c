// Names of things on the Hugging Face Hub as users write them. Words only: nothing here asks the
// Hub or the disk.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sdtune {

struct HubPlace {
  std::string repo;               // "org/name"
  std::string revision = "main";  // a branch, a tag or a commit
  std::string path;               // a file or folder of the repository; "" is its root
  std::string type = "model";     // or "dataset", "space"
};

// "org/name", "org/name@revision" and "org/name/folder/file.safetensors" (also with a revision).
// Nothing for what cannot be meant so: other numbers of parts, names the Hub does not allow, and
// "folder/file.ckpt", which is a file that is missing. With `may_be_folder` "org/name/folder" too.
std::optional<HubPlace> parse_model_id(const std::string& text, bool may_be_folder = false);

// "user/repo/path[:revision[:type]]", as sd-scripts' --resume_from_huggingface. UsageError.
HubPlace parse_state_place(const std::string& text);

// "org/name" by the Hub's rules.
bool is_repo_name(std::string_view text);
// 40 hexadecimal digits.
bool is_commit(std::string_view text);
// A relative path with plain parts: what a server names may become a file below a folder.
bool is_safe_path(std::string_view path);

// For one part of a URL, or with the slashes of a path kept.
std::string percent_encode(std::string_view text, bool keep_slashes = false);

// What follows the Hub's address: "org/name", and "datasets/org/name" of another type.
std::string repo_path(const HubPlace& place);

// How messages name it: "org/name", "org/name@revision", "org/name/file".
std::string name_of(const HubPlace& place);

}  // namespace sdtune
