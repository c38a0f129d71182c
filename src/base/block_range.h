// Memory for large blocks that keeps its pages: they come from one reserved range of addresses, on
// huge pages where the system has them, and what is freed stays resident for the next block that
// fits, so that work which repeats itself faults no pages in. What is resident stays near the most
// that was in use at once. Thread-safe. Not for small blocks, whose bookkeeping would cost more.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sdtune {

class BlockRange {
 public:
  // Blocks begin at multiples of this.
  static constexpr uint64_t kAlignment = 64;
  // Pages are counted, and go back to the system, by so many bytes: a huge page.
  static constexpr uint64_t kPage = uint64_t{2} << 20;

  // Reserves `bytes` of addresses, or as many as the system lets it have, which may be none.
  explicit BlockRange(uint64_t bytes);
  ~BlockRange();  // of all blocks too
  BlockRange(const BlockRange&) = delete;
  BlockRange& operator=(const BlockRange&) = delete;

  // A block of `bytes`, the smallest hole that holds it; null when there is none. Its contents are
  // whatever was there before.
  void* take(uint64_t bytes);
  // `block` is one that take() gave.
  void give_back(void* block);
  bool holds(const void* address) const;

  // Gives the pages of everything that is free back to the system.
  void release_free_memory();

  uint64_t bytes_taken() const;  // in blocks that are in use
  // In pages that were touched and not given back: taken, or kept for the next block.
  uint64_t bytes_kept() const;
  // The most that bytes_kept() grows to while at most `taken` bytes are in use at once, but for
  // holes that are smaller than a page.
  static uint64_t most_kept(uint64_t taken);
  // All the memory that the machine has.
  static uint64_t bytes_of_machine();

 private:
  bool open_until(uint64_t end);
  void insert_free(uint64_t place, uint64_t size);
  void erase_free(uint64_t place, uint64_t size);
  void touch(uint64_t place, uint64_t size);
  void release(uint64_t place, uint64_t size, uint64_t at_most);
  void release_until(uint64_t bytes);

  mutable std::mutex mutex_;
  char* base_ = nullptr;  // at a multiple of kPage
  void* mapping_ = nullptr;
  uint64_t mapped_ = 0;
  uint64_t size_ = 0;  // multiple of kPage
  uint64_t open_ = 0;  // what lies behind it may not be read or written yet
  // Places count from base_. Neighbours among the free ones are always joined.
  std::map<uint64_t, uint64_t> free_by_place_;            // to sizes
  std::set<std::pair<uint64_t, uint64_t>> free_by_size_;  // size, place
  std::unordered_map<uint64_t, uint64_t> taken_;          // places to sizes
  std::vector<bool> touched_;                             // of each page
  uint64_t pages_touched_ = 0;
  uint64_t bytes_taken_ = 0;
  uint64_t most_taken_ = 0;  // since the last release of everything
};

}  // namespace sdtune
