#include "base/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {

namespace {

[[noreturn]] void fail(const std::string& doing, const fs::path& path, int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) hint = "free some space and try again";
  if (code == EACCES || code == EROFS || code == EPERM) {
    hint = "check the permissions of the folder";
  }
  throw Error(fmt::format("{}: {}", doing, std::strerror(code)), path.string(), hint);
}

uint64_t size_of(int fd) {
  struct stat status = {};
  return ::fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

}  // namespace

PartialFile::PartialFile(fs::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("the file cannot be opened for writing", path_, errno);
  size_ = size_of(fd_);
}

PartialFile::~PartialFile() {
  if (fd_ >= 0) ::close(fd_);
}

void PartialFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("the file cannot be written", path_, errno);
    }
    size_ += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void PartialFile::clear() {
  if (::ftruncate(fd_, 0) != 0) fail("the file cannot be emptied", path_, errno);
  size_ = 0;
}

void PartialFile::commit(const fs::path& target) {
  if (::fsync(fd_) != 0) fail("the file cannot be brought to disk", path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) fail("the file cannot be closed", path_, errno);
  rename_durably(path_, target);
}

WaitingLock::WaitingLock(const fs::path& path, const std::function<void()>& on_wait) {
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("the file cannot be opened", path, errno);
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  on_wait();
  while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

WaitingLock::~WaitingLock() { ::close(fd_); }

FileReader::FileReader(fs::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail("the file cannot be opened", path_, errno);
  size_ = size_of(fd_);
}

FileReader::~FileReader() { ::close(fd_); }

size_t FileReader::read(uint64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("the file cannot be read", path_, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

}  // namespace sdtune
