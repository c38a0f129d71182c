#include "base/block_range.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace sdtune {

namespace {

// Addresses are opened by so many bytes, for fewer calls.
constexpr uint64_t kOpenStep = uint64_t{64} << 20;

uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// Half as much each time until the system agrees; null when it never does.
void* reserve(uint64_t& bytes) {
  for (; bytes >= 2 * BlockRange::kPage; bytes /= 2) {
    void* address =
        ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address != MAP_FAILED) return address;
  }
  bytes = 0;
  return nullptr;
}

}  // namespace

BlockRange::BlockRange(uint64_t bytes) {
  mapped_ = round_up(bytes, kPage) + kPage;
  mapping_ = reserve(mapped_);
  if (mapping_ == nullptr) return;
  const auto start = reinterpret_cast<uint64_t>(mapping_);
  const uint64_t skipped = round_up(start, kPage) - start;
  base_ = static_cast<char*>(mapping_) + skipped;
  size_ = std::min(round_up(bytes, kPage), (mapped_ - skipped) / kPage * kPage);
  ::madvise(base_, size_, MADV_HUGEPAGE);  // refused where there are none
  touched_.resize(size_ / kPage);
  insert_free(0, size_);
}

BlockRange::~BlockRange() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_);
}

bool BlockRange::holds(const void* address) const {
  const auto* byte = static_cast<const char*>(address);
  return base_ != nullptr && byte >= base_ && byte < base_ + size_;
}

uint64_t BlockRange::most_kept(uint64_t taken) {
  constexpr uint64_t kRoom = uint64_t{32} << 20;
  return taken + taken / 16 + kRoom;
}

uint64_t BlockRange::bytes_of_machine() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t BlockRange::bytes_taken() const {
  const std::lock_guard lock(mutex_);
  return bytes_taken_;
}

uint64_t BlockRange::bytes_kept() const {
  const std::lock_guard lock(mutex_);
  return pages_touched_ * kPage;
}

void* BlockRange::take(uint64_t bytes) {
  if (bytes > size_) return nullptr;
  const uint64_t size = round_up(std::max<uint64_t>(bytes, 1), kAlignment);
  const std::lock_guard lock(mutex_);
  // What was never used is the largest hole for long, and so the last to be broken into.
  const auto hole = free_by_size_.lower_bound({size, 0});
  if (hole == free_by_size_.end()) return nullptr;
  const auto [hole_size, place] = *hole;
  if (!open_until(place + size)) return nullptr;
  erase_free(place, hole_size);
  if (hole_size > size) insert_free(place + size, hole_size - size);
  taken_.emplace(place, size);
  bytes_taken_ += size;
  most_taken_ = std::max(most_taken_, bytes_taken_);
  touch(place, size);
  return base_ + place;
}

void BlockRange::give_back(void* block) {
  const std::lock_guard lock(mutex_);
  const auto taken = taken_.find(static_cast<uint64_t>(static_cast<char*>(block) - base_));
  uint64_t place = taken->first, size = taken->second;
  taken_.erase(taken);
  bytes_taken_ -= size;
  const auto next = free_by_place_.lower_bound(place);
  if (next != free_by_place_.begin()) {
    const auto [before, before_size] = *std::prev(next);
    if (before + before_size == place) {
      erase_free(before, before_size);
      place = before;
      size += before_size;
    }
  }
  if (const auto after = free_by_place_.find(place + size); after != free_by_place_.end()) {
    const auto [after_place, after_size] = *after;
    erase_free(after_place, after_size);
    size += after_size;
  }
  insert_free(place, size);
}

void BlockRange::release_free_memory() {
  const std::lock_guard lock(mutex_);
  for (const auto& [place, size] : free_by_place_) release(place, size, size_);
  most_taken_ = bytes_taken_;
}

bool BlockRange::open_until(uint64_t end) {
  if (end <= open_) return true;
  const uint64_t wanted = std::min(round_up(end, kOpenStep), size_);
  if (::mprotect(base_ + open_, wanted - open_, PROT_READ | PROT_WRITE) != 0) return false;
  open_ = wanted;
  return true;
}

void BlockRange::insert_free(uint64_t place, uint64_t size) {
  free_by_place_.emplace(place, size);
  free_by_size_.emplace(size, place);
}

void BlockRange::erase_free(uint64_t place, uint64_t size) {
  free_by_place_.erase(place);
  free_by_size_.erase({size, place});
}

// Counts the pages of a block that was just taken. Free ones go back first where the new ones would
// be more than was ever needed at once.
void BlockRange::touch(uint64_t place, uint64_t size) {
  const auto first = touched_.begin() + static_cast<int64_t>(place / kPage);
  const auto end = touched_.begin() + static_cast<int64_t>((place + size - 1) / kPage) + 1;
  const auto fresh = static_cast<uint64_t>(std::count(first, end, false));
  if (fresh == 0) return;
  const uint64_t most = most_kept(most_taken_), new_bytes = fresh * kPage;
  release_until(most > new_bytes ? most - new_bytes : 0);
  std::fill(first, end, true);
  pages_touched_ += fresh;
}

// Until no more than `bytes` are kept, or nothing is left to give.
void BlockRange::release_until(uint64_t bytes) {
  for (auto hole = free_by_size_.rbegin(); hole != free_by_size_.rend(); ++hole) {
    const uint64_t kept = pages_touched_ * kPage;
    if (kept <= bytes) return;
    release(hole->second, hole->first, kept - bytes);
  }
}

// Gives back the whole pages within a hole, but no more of them than make `at_most` bytes.
void BlockRange::release(uint64_t place, uint64_t size, uint64_t at_most) {
  uint64_t page = round_up(place, kPage) / kPage;
  const uint64_t end = std::min(place + size, open_) / kPage;
  uint64_t left = (at_most + kPage - 1) / kPage;
  while (page < end && left > 0) {
    const uint64_t first = page;
    for (; page < end && touched_[page] && left > 0; ++page, --left) {
      touched_[page] = false;
      --pages_touched_;
    }
    if (page > first) {
      ::madvise(base_ + first * kPage, (page - first) * kPage, MADV_DONTNEED);
    } else {
      ++page;
    }
  }
}

}  // namespace sdtune
