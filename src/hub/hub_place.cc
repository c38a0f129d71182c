#include "hub/hub_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr size_t kMaxNamePart = 96;
constexpr size_t kMaxPath = 1024;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char letter : text) {
    if (letter == separator) {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  return parts;
}

bool is_plain_letter(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) || letter == '-' || letter == '_' ||
         letter == '.';
}

bool is_name_part(std::string_view part) {
  if (part.empty() || part.size() > kMaxNamePart) return false;
  const auto is_mark = [](char letter) { return letter == '-' || letter == '.'; };
  return std::all_of(part.begin(), part.end(), is_plain_letter) && !is_mark(part.front()) &&
         !is_mark(part.back()) && part.find("--") == std::string_view::npos &&
         part.find("..") == std::string_view::npos && !part.ends_with(".git");
}

bool names_weights(const std::string& name) {
  constexpr std::array kExtensions = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"};
  return std::any_of(kExtensions.begin(), kExtensions.end(),
                     [&](const char* extension) { return name.ends_with(extension); });
}

bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= 255 && is_safe_path(text);
}

// What follows the first `count` parts.
std::string rest_of(const std::vector<std::string>& parts, size_t count) {
  return fmt::format("{}", fmt::join(parts.begin() + static_cast<long>(count), parts.end(), "/"));
}

}  // namespace

std::optional<HubPlace> parse_model_id(const std::string& text, bool may_be_folder) {
  HubPlace place;
  const size_t at = text.rfind('@');
  if (at != std::string::npos) {
    place.revision = text.substr(at + 1);
    if (!is_revision(place.revision)) return std::nullopt;
  }
  const std::vector<std::string> parts = split(text.substr(0, at), '/');
  if (parts.size() < 2) return std::nullopt;
  place.repo = parts[0] + "/" + parts[1];
  place.path = rest_of(parts, 2);
  if (!is_repo_name(place.repo)) return std::nullopt;
  const bool fits = parts.size() == 2
                        ? !names_weights(parts[1])
                        : is_safe_path(place.path) && (may_be_folder || names_weights(place.path));
  return fits ? std::optional(place) : std::nullopt;
}

HubPlace parse_state_place(const std::string& text) {
  const auto fail = [&](const std::string& what) {
    return UsageError(
        what, "--resume",
        "with --resume_from_huggingface, give user/repository/path[:revision[:type]]");
  };
  const std::vector<std::string> fields = split(text, ':');
  const std::vector<std::string> parts = split(fields[0], '/');
  if (fields.size() > 3 || parts.size() < 3) {
    throw fail(fmt::format("\"{}\" names no folder on the Hugging Face Hub", text));
  }
  HubPlace place;
  place.repo = parts[0] + "/" + parts[1];
  place.path = rest_of(parts, 2);
  if (fields.size() > 1 && !fields[1].empty()) place.revision = fields[1];
  if (fields.size() > 2) place.type = fields[2];
  if (!is_repo_name(place.repo) || !is_safe_path(place.path) || !is_revision(place.revision)) {
    throw fail(fmt::format("\"{}\" is no name that the Hugging Face Hub allows", text));
  }
  if (place.type != "model" && place.type != "dataset" && place.type != "space") {
    throw fail(fmt::format("\"{}\" is no type of repository", place.type));
  }
  return place;
}

bool is_repo_name(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && is_name_part(text.substr(0, slash)) &&
         is_name_part(text.substr(slash + 1));
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char letter) {
           return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
         });
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath) return false;
  for (const char letter : path) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == '\\' || letter == 0x7f) return false;
  }
  for (const std::string& part : split(std::string(path), '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  std::string encoded;
  for (const char letter : text) {
    if (is_plain_letter(letter) || letter == '~' || (keep_slashes && letter == '/')) {
      encoded += letter;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
    }
  }
  return encoded;
}

std::string repo_path(const HubPlace& place) {
  return (place.type == "model" ? "" : place.type + "s/") + place.repo;
}

std::string name_of(const HubPlace& place) {
  return place.repo + (place.path.empty() ? "" : "/" + place.path) +
         (place.revision == "main" ? "" : "@" + place.revision);
}

}  // namespace sdtune
