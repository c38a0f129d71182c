#include "hub/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxRef = 4096;

std::string folder_name(const HubPlace& place) {
  const size_t slash = place.repo.find('/');
  return place.type + "s--" + place.repo.substr(0, slash) + "--" + place.repo.substr(slash + 1);
}

}  // namespace

HubCache::HubCache(const fs::path& root, const HubPlace& place)
    : folder_(root / folder_name(place)), locks_(root / ".locks" / folder_name(place)) {}

fs::path HubCache::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

fs::path HubCache::blob(const std::string& etag) const { return folder_ / "blobs" / etag; }

fs::path HubCache::lock(const std::string& etag) const { return locks_ / (etag + ".lock"); }

std::optional<std::string> HubCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path ref = folder_ / "refs" / revision;
  std::error_code ignored;
  if (!fs::is_regular_file(ref, ignored)) return std::nullopt;
  std::string commit = read_file(ref, kMaxRef);
  std::erase_if(commit, [](unsigned char letter) { return std::isspace(letter); });
  return is_commit(commit) ? std::optional(commit) : std::nullopt;
}

void HubCache::remember(const std::string& revision, const std::string& commit) const {
  if (is_commit(revision) || commit_of(revision) == commit) return;
  const fs::path ref = folder_ / "refs" / revision;
  fs::create_directories(ref.parent_path());
  write_file(ref, commit);
}

std::vector<std::string> HubCache::files(const std::string& commit) const {
  std::vector<std::string> names;
  const fs::path folder = snapshot(commit);
  std::error_code ignored;
  for (auto entry = fs::recursive_directory_iterator(folder, ignored);
       !ignored && entry != fs::recursive_directory_iterator(); entry.increment(ignored)) {
    if (entry->is_regular_file(ignored)) {
      names.push_back(entry->path().lexically_relative(folder).generic_string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool HubCache::has(const std::string& commit, const std::string& name) const {
  std::error_code ignored;
  return fs::is_regular_file(snapshot(commit) / name, ignored);
}

void HubCache::make_folders() const {
  make_writable_folder(folder_ / "blobs");
  make_writable_folder(locks_);
}

void HubCache::link(const std::string& commit, const std::string& name,
                    const std::string& etag) const {
  const fs::path pointer = snapshot(commit) / name;
  fs::create_directories(pointer.parent_path());
  const fs::path temporary = temporary_name(pointer);
  std::error_code failure;
  fs::create_symlink(blob(etag).lexically_relative(pointer.parent_path()), temporary, failure);
  if (failure) fs::copy_file(blob(etag), temporary);
  fs::rename(temporary, pointer);
}

}  // namespace sdtune
