// Files as this program uses them: read whole, mapped for reading, or replaced atomically
// (temporary name, fsync of file and folder, rename). All operating-system calls about files stand
// here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdtune {

namespace fs = std::filesystem;

// From the root, without "." and "..": one spelling for one place (links are not followed).
fs::path absolute_path(const fs::path& path);

// Throws Error when the file is missing, unreadable or longer than `limit` bytes.
std::string read_file(const fs::path& path, uint64_t limit = 1ull << 30);

// A file mapped for reading. The bytes stay valid for the object's lifetime.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }
  // Copies bytes [offset, offset + out.size()) and lets the kernel drop the pages read, so that a
  // file read once does not stay in this process's resident memory. The range must lie inside the
  // file.
  void read(uint64_t offset, std::span<std::byte> out) const;

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// A new file that takes its name only on commit(): written under a temporary name in the same
// folder, synced, renamed, folder synced. Destroyed without commit() it leaves nothing. Throws
// Error with the path and the system's reason (disk full, no permission) at each call.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void write_at(uint64_t offset,
                std::span<const std::byte> bytes);  // patches what is already written
  uint64_t size() const { return size_; }
  void commit();

 private:
  void flush();

  fs::path path_;
  fs::path temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
  std::vector<std::byte> buffer_;
};

void write_file(const fs::path& path, std::string_view text);  // atomic

// Appends whole lines or records to a file; each is one write(2), synced when `sync` is set.
class AppendFile {
 public:
  explicit AppendFile(const fs::path& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  // Where a full disk cut a line short, the next one still begins on a line of its own.
  void append(std::string_view line, bool sync = false);
  void append_bytes(std::string_view bytes, bool sync = false);

 private:
  fs::path path_;
  int fd_ = -1;
  bool cut_short_ = false;
};

// A file that one process at a time holds. It is let go when the process ends, however it ends.
class FileLock {
 public:
  // Makes the file where it is missing. Error when another process holds it. Where the file system
  // knows no locks, nothing is held and nothing is said.
  explicit FileLock(const fs::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  static bool is_held(const fs::path& path);  // by any process, this one too

 private:
  int fd_ = -1;
};

// Creates the folder and its parents; Error when it cannot be written to.
void make_writable_folder(const fs::path& path);
// Syncs a folder's entries to disk.
void sync_folder(const fs::path& path);
// Renames a file or folder over nothing and syncs the parent.
void rename_durably(const fs::path& from, const fs::path& to);
// Gives a finished folder its name. A folder that has the name already is moved aside before and
// removed after, so that a whole one is on disk at every moment.
void replace_folder(const fs::path& finished, const fs::path& target);
// A name beside `path` that is free and marks unfinished work: ".<name>.tmp-<pid>-<place>-<n>",
// with no more than the beginning of a long name, the place (machine and container) where the
// process has its number, and a count that begins at random.
fs::path temporary_name(const fs::path& path);
// Removes leftovers of temporary_name() in `folder` whose process is gone; those of other machines
// when they are an hour old.
void remove_stale_temporaries(const fs::path& folder);
uint64_t free_bytes(const fs::path& folder);

}  // namespace sdtune
