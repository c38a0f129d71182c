#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/system.h"

namespace sdtune {

namespace {

[[noreturn]] void fail(const std::string& doing, const fs::path& path, int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT) hint = "free some space or choose another folder";
  if (code == EACCES || code == EROFS || code == EPERM)
    hint = "check the permissions of the folder";
  throw Error(fmt::format("{}: {}", doing, std::strerror(code)), path.string(), hint);
}

void write_all(int fd, const std::byte* data, size_t size, const fs::path& path) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("the file cannot be written", path, errno);
    }
    data += written;
    size -= static_cast<size_t>(written);
  }
}

}  // namespace

fs::path absolute_path(const fs::path& path) { return fs::absolute(path).lexically_normal(); }

std::string read_file(const fs::path& path, uint64_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("the file cannot be opened", path, errno);
  std::string text;
  struct stat status = {};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    text.reserve(std::min(static_cast<uint64_t>(status.st_size), limit) + 1);
  }
  char piece[1 << 16];
  ssize_t got;
  while ((got = ::read(fd, piece, sizeof(piece))) > 0 && text.size() <= limit)
    text.append(piece, got);
  const int code = errno;
  ::close(fd);
  if (got < 0) fail("the file cannot be read", path, code);
  if (text.size() > limit) {
    throw Error(fmt::format("the file is longer than {} bytes", limit), path.string());
  }
  return text;
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("the file cannot be opened", path, errno);
  struct stat status = {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw Error("this is not a regular file", path.string());
  }
  size_ = static_cast<size_t>(status.st_size);
  void* data = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const int code = errno;
  ::close(fd);
  if (data == MAP_FAILED) fail("the file cannot be mapped", path, code);
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    throw Error(fmt::format("a read of {} bytes at {} goes past the end", out.size(), offset),
                path_.string());
  }
  constexpr uint64_t kPiece = 16 << 20;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  for (uint64_t done = 0; done < out.size(); done += kPiece) {
    const uint64_t length = std::min<uint64_t>(kPiece, out.size() - done);
    std::memcpy(out.data() + done, data_ + offset + done, length);
    const uint64_t begin = (offset + done) / page * page;
    const uint64_t end =
        (offset + done + length) / page * page;  // a page shared with what follows stays
    if (end > begin) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
  }
}

namespace {

// Where a number of a process means what it means here: this start of this machine, this container.
const std::string& place_of_processes() {
  static const std::string place = [] {
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    std::error_code ignored;
    Hasher hasher;
    hasher.update(boot + fs::read_symlink("/proc/self/ns/pid", ignored).string());
    return hasher.hex().substr(0, 8);
  }();
  return place;
}

// Whether the process that made this temporary runs no more. Those of other places cannot be asked
// for; what they have not written to for an hour is theirs no more.
bool is_stale(const std::string& mark, fs::file_time_type written) {
  int pid = 0;
  char place[9] = {};
  if (std::sscanf(mark.c_str(), ".tmp-%d-%8[0-9a-f]-", &pid, place) != 2 ||
      place != place_of_processes()) {
    return pid > 0 && written < fs::file_time_type::clock::now() - std::chrono::hours(1);
  }
  if (pid != ::getpid()) return ::kill(pid, 0) != 0 && errno == ESRCH;
  // In a container one process after the other has the same number.
  const std::chrono::duration<double> running(seconds_since_start());
  return written < fs::file_time_type::clock::now() - running;
}

}  // namespace

fs::path temporary_name(const fs::path& path) {
  static std::atomic<uint32_t> count = static_cast<uint32_t>(random_seed());
  std::string name = path.filename().string();
  // A name of 255 bytes is legal, and with more around it this one would not be.
  size_t kept = std::min<size_t>(name.size(), 100);
  while (kept > 0 && kept < name.size() && (name[kept] & 0xc0) == 0x80) --kept;  // whole characters
  name.resize(kept);
  return path.parent_path() /
         fmt::format(".{}.tmp-{}-{}-{}", name, ::getpid(), place_of_processes(), count++);
}

void remove_stale_temporaries(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t mark = name.rfind(".tmp-");
    if (!name.starts_with(".") || mark == std::string::npos) continue;
    std::error_code failure;
    const fs::file_time_type written = fs::last_write_time(entry.path(), failure);
    if (!failure && is_stale(name.substr(mark), written)) fs::remove_all(entry.path(), ignored);
  }
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("the file cannot be created", path_, errno);
  buffer_.reserve(1 << 20);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::flush() {
  write_all(fd_, buffer_.data(), buffer_.size(), path_);
  buffer_.clear();
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > buffer_.capacity()) flush();
  if (bytes.size() >= buffer_.capacity()) {
    write_all(fd_, bytes.data(), bytes.size(), path_);
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  flush();
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("the file cannot be written", path_, errno);
    }
    offset += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  flush();
  if (::fsync(fd_) != 0) fail("the file cannot be brought to disk", path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) fail("the file cannot be closed", path_, errno);
  rename_durably(temporary_, path_);
  temporary_.clear();
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

AppendFile::AppendFile(const fs::path& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("the file cannot be opened for writing", path, errno);
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::append(std::string_view line, bool sync) {
  std::string whole = cut_short_ ? "\n" : "";
  whole += line;
  whole += '\n';
  append_bytes(whole, sync);
}

void AppendFile::append_bytes(std::string_view bytes, bool sync) {
  struct stat before = {}, after = {};
  const bool known = ::fstat(fd_, &before) == 0;
  try {
    write_all(fd_, reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), path_);
    cut_short_ = false;
  } catch (const Error&) {
    if (known && ::fstat(fd_, &after) == 0 && after.st_size > before.st_size) cut_short_ = true;
    throw;
  }
  if (sync && ::fdatasync(fd_) != 0) fail("the file cannot be brought to disk", path_, errno);
}

FileLock::FileLock(const fs::path& path) {
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("the file cannot be opened", path, errno);
  // is_held() of another process takes the lock for a moment.
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::close(fd_);
  throw Error("another process is at work here", path.parent_path().string(),
              "wait until it has ended, or choose another name or folder");
}

FileLock::~FileLock() { ::close(fd_); }

bool FileLock::is_held(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return held;
}

void make_writable_folder(const fs::path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code || !fs::is_directory(path)) {
    fail("the folder cannot be made", path, code ? code.value() : ENOTDIR);
  }
  const fs::path probe = temporary_name(path / "probe");
  const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) fail("the folder cannot be written to", path, errno);
  ::close(fd);
  ::unlink(probe.c_str());
}

void sync_folder(const fs::path& path) {
  const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("the folder cannot be opened", path, errno);
  const int result = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  // Some network file systems cannot sync folders and say so with EINVAL.
  if (result != 0 && code != EINVAL) fail("the folder cannot be brought to disk", path, code);
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("the file cannot take its name", to, errno);
  sync_folder(to.parent_path());
}

void replace_folder(const fs::path& finished, const fs::path& target) {
  if (!fs::exists(target)) {
    rename_durably(finished, target);
    return;
  }
  // The two names change places in one operation; then the old folder, under the temporary name,
  // goes.
  if (::renameat2(AT_FDCWD, finished.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) fail("the folder cannot take its name", target, errno);
    // Some network file systems cannot exchange. The name set aside is none that is cleaned up, so
    // that a cut between the two renames loses nothing.
    const fs::path aside = target.parent_path() / (target.filename().string() + ".replaced");
    rename_durably(target, aside);
    rename_durably(finished, target);
    fs::remove_all(aside);
    return;
  }
  sync_folder(target.parent_path());
  std::error_code ignored;
  fs::remove_all(finished, ignored);
}

uint64_t free_bytes(const fs::path& folder) {
  std::error_code code;
  const fs::space_info space = fs::space(folder.empty() ? "." : folder, code);
  if (code) fail("the free space cannot be told", folder, code.value());
  return space.available;
}

}  // namespace sdtune
