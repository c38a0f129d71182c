// Latents computed once for all pictures, kept in memory or on disk, and given to the loader in
// place of pixels. Knows no model: it is handed an encoder. Entries that are stale or missing are
// made anew, exactly those (latent_file.h says when one is).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/rank.h"
#include "data/image_index.h"
#include "data/item_source.h"
#include "data/latent_encoding.h"
#include "data/latent_file.h"

namespace sdtune {

struct LatentCacheOptions {
  bool to_disk = false;
  int64_t batch_size = 1;
  bool posterior = false;  // keep mean and log-variance, and draw anew at each appearance
  LatentNaming naming = LatentNaming::kSized;
  bool sdxl_names = false;
  bool skip_check = false;  // a file that is there is taken as it is
  bool fast_decode = false;
  int threads = 4;
  ImageIndex* index = nullptr;  // where hashes of pictures are remembered; may be null
  Rank rank;                    // of several processes each fills its share; on disk only
};

struct LatentCacheReport {
  int64_t reused = 0;
  int64_t encoded = 0;
  int64_t failed = 0;                    // pictures that cannot be read
  std::map<std::string, int64_t> stale;  // why entries that were there were made anew
};

class LatentCache {
 public:
  // The dataset must outlive the cache. UsageError when a subset has an augmentation that kept
  // latents cannot follow (random_crop, color_aug).
  LatentCache(const Dataset& dataset, const LatentCacheOptions& options);

  // Looks which entries are usable and encodes the others. Errors as encode_items() and
  // write_latents(). Ends early on a stop signal.
  LatentCacheReport fill(const LatentEncoder& encoder);

  // True when every picture has a usable file already; fills nothing.
  bool is_complete(const std::string& fingerprint);

  // For the loader, after fill() or is_complete(). The cache must outlive it. It throws Error for a
  // picture without an entry.
  ItemSource source() const;

 private:
  struct Entry {
    std::filesystem::path file;  // where it lies or will lie
    size_t first_of_file = 0;    // the first item whose entry lies in this file
    LatentEntry kept;            // without disk
    bool has_own_name = false;   // another entry took the usual name
    bool is_there = false;
  };

  bool has_same_needs(size_t a, size_t b) const;
  void name_files();
  LatentRecipe recipe_of(const Item& item) const;
  bool is_mine(size_t item) const;
  std::string check(size_t number, ImageIndex& index);
  std::vector<std::string> check_all();
  void keep(EncodedItem encoded);
  SampleValues values_of(const Appearance& appearance) const;

  const Dataset& dataset_;
  LatentCacheOptions options_;
  bool sized_names_;
  std::string fingerprint_;
  std::vector<Entry> entries_;             // as Dataset::items
  std::array<std::mutex, 64> file_turns_;  // by first_of_file: a file's sizes are added in turn
};

}  // namespace sdtune
