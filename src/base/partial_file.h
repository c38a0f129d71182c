// A file that is gathered over several tries, and a lock that waits: for downloads that go on where
// an earlier one, perhaps of another process, was cut off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

namespace sdtune {

class PartialFile {
 public:
  // Opens what is there, or makes an empty file. Errors name the path and the system's reason.
  explicit PartialFile(std::filesystem::path path);
  ~PartialFile();  // keeps the file
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  uint64_t size() const { return size_; }
  void append(std::span<const std::byte> bytes);
  void clear();  // to no bytes at all
  // Synced and renamed over `target`, which is on the same file system. The last call.
  void commit(const std::filesystem::path& target);

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// Held by one process at a time, as FileLock, but the next one waits. It is the flock(2) that
// Python's filelock takes, too.
class WaitingLock {
 public:
  // Makes the file where it is missing. `on_wait` is called once before a wait. Where the file
  // system knows no locks, nothing is held and nothing is said.
  WaitingLock(const std::filesystem::path& path, const std::function<void()>& on_wait);
  ~WaitingLock();
  WaitingLock(const WaitingLock&) = delete;
  WaitingLock& operator=(const WaitingLock&) = delete;

 private:
  int fd_ = -1;
};

// Reads `length` bytes at `offset` of a file that another may shorten meanwhile: fewer are returned
// at its end. For pieces of large files; whole ones are read by read_file().
class FileReader {
 public:
  explicit FileReader(std::filesystem::path path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  uint64_t size() const { return size_; }  // when it was opened
  size_t read(uint64_t offset, std::span<std::byte> out) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

}  // namespace sdtune
