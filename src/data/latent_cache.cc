#include "data/latent_cache.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/philox.h"
#include "data/headers.h"
#include "data/picture_work.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoEntry = "not made yet";

void check_augmentations(const Dataset& dataset) {
  for (const SubsetOptions& subset : dataset.subsets) {
    if (!changes_pixels(subset)) continue;
    throw UsageError("latents that are kept cannot follow a crop or colours that change",
                     subset.random_crop ? "random_crop"
                     : subset.color_aug ? "color_aug"
                                        : "face_crop_aug_range",
                     "leave it out, or leave --cache_latents out");
  }
}

}  // namespace

LatentCache::LatentCache(const Dataset& dataset, const LatentCacheOptions& options)
    : dataset_(dataset), options_(options), entries_(dataset.items.size()) {
  check_augmentations(dataset);
  sized_names_ = std::any_of(dataset.buckets.begin(), dataset.buckets.end(),
                             [](const Bucket& bucket) { return bucket.dataset > 0; });
  name_files();
}

// Whether the entry of one item serves the other, when both are trained at one shape.
bool LatentCache::has_same_needs(size_t a, size_t b) const {
  const auto needs = [this](const Item& item) {
    const SubsetOptions& subset = dataset_.subsets[item.subset];
    return std::tuple(absolute_path(item.image), item.placement.bucket, item.placement.resized,
                      subset.resize_interpolation, subset.flip_aug, subset.alpha_mask);
  };
  return needs(dataset_.items[a]) == needs(dataset_.items[b]);
}

// Usually a picture's name without its extension. Where an entry that differs has that name (of a
// picture with another extension, or of the same one for a subset that wants other latents), the
// extension is added, and where that does not help the subset's number.
void LatentCache::name_files() {
  std::map<fs::path, size_t> firsts;
  std::map<std::pair<fs::path, Size>, size_t> owners;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Item& item = dataset_.items[i];
    const std::string image = item.image.string();
    const Size shape = sized_names_ ? item.placement.bucket : Size{};
    for (const std::string& name :
         {image, image + ".npz", fmt::format("{}.{}.npz", image, item.subset)}) {
      fs::path file = latent_file_name(name, item.size, options_.naming);
      const fs::path key = absolute_path(file);
      const size_t owner = owners.emplace(std::pair(key, shape), i).first->second;
      if (owner != i && !has_same_needs(owner, i)) continue;
      entries_[i].first_of_file = firsts.emplace(key, i).first->second;
      entries_[i].has_own_name = name != image;
      entries_[i].file = std::move(file);
      break;
    }
  }
}

LatentRecipe LatentCache::recipe_of(const Item& item) const {
  const SubsetOptions& subset = dataset_.subsets[item.subset];
  LatentRecipe recipe;
  recipe.image = item.size;
  recipe.placement = item.placement;
  recipe.interpolation = subset.resize_interpolation;
  recipe.fast_decode = options_.fast_decode;
  recipe.vae = fingerprint_;
  recipe.flipped = subset.flip_aug;
  recipe.alpha_mask = subset.alpha_mask;
  recipe.posterior = options_.posterior;
  recipe.sized_names = sized_names_;
  return recipe;
}

bool LatentCache::is_mine(size_t item) const {
  // All that lies in one file is one process's.
  const size_t number = entries_[item].first_of_file;
  return static_cast<int>(number % static_cast<size_t>(options_.rank.world_size)) ==
         options_.rank.rank;
}

// Finds the entry's file. Returns why there is none that serves, or "".
std::string LatentCache::check(size_t number, ImageIndex& index) {
  const Item& item = dataset_.items[number];
  Entry& entry = entries_[number];
  std::vector<fs::path> candidates = {entry.file};
  if (!entry.has_own_name) {
    for (fs::path& path : latent_file_candidates(item.image, item.size, options_.sdxl_names)) {
      if (path != entry.file) candidates.push_back(std::move(path));
    }
  }
  LatentRecipe recipe = recipe_of(item);
  std::string reason = kNoEntry;
  for (const fs::path& path : candidates) {
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) continue;
    std::string why;
    if (!options_.skip_check) {
      try {
        if (recipe.image_hash.empty()) {
          recipe.image_hash = picture_hash(item.image, index);
        }
      } catch (const Error&) {
        return kNoEntry;  // the picture's fault is told when it is to be encoded
      }
      why = why_unusable(path, recipe);
    }
    if (why.empty()) {
      entry.file = path;
      entry.is_there = true;
      return "";
    }
    if (reason == kNoEntry) reason = std::move(why);
  }
  return reason;
}

// Reasons by item: "" where a file serves, and for the items of other processes.
std::vector<std::string> LatentCache::check_all() {
  ImageIndex none{std::filesystem::path()};
  ImageIndex& index = options_.index ? *options_.index : none;
  std::vector<std::string> reasons(entries_.size());
  for_each_picture(entries_.size(),
                   {.label = "checking latents", .threads = options_.threads, .chunk = 16},
                   [&](size_t i) {
                     if (is_mine(i)) reasons[i] = check(i, index);
                   });
  index.commit();
  return reasons;
}

bool LatentCache::is_complete(const std::string& fingerprint) {
  fingerprint_ = fingerprint;
  const auto reasons = check_all();
  return std::all_of(reasons.begin(), reasons.end(), [](const auto& r) { return r.empty(); });
}

LatentCacheReport LatentCache::fill(const LatentEncoder& encoder) {
  fingerprint_ = encoder.fingerprint;
  LatentCacheReport report;
  std::vector<size_t> missing;
  std::vector<std::string> reasons(entries_.size(), kNoEntry);
  if (options_.to_disk) reasons = check_all();
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!is_mine(i)) continue;
    if (reasons[i].empty()) {
      ++report.reused;
      continue;
    }
    missing.push_back(i);
    if (reasons[i] != kNoEntry) ++report.stale[reasons[i]];
  }
  const EncodingOptions encoding{options_.batch_size, options_.posterior, options_.fast_decode,
                                 options_.threads, options_.to_disk ? options_.index : nullptr};
  const EncodingReport encoded = encode_items(dataset_, missing, encoder, encoding,
                                              [this](EncodedItem item) { keep(std::move(item)); });
  if (options_.index) options_.index->commit();
  report.encoded = encoded.encoded;
  report.failed = encoded.failed;
  return report;
}

void LatentCache::keep(EncodedItem encoded) {
  Entry& entry = entries_[encoded.item];
  if (options_.to_disk) {
    LatentRecipe recipe = recipe_of(dataset_.items[encoded.item]);
    recipe.image_hash = encoded.image_hash;
    const std::lock_guard turn(file_turns_[entry.first_of_file % file_turns_.size()]);
    write_latents(entry.file, recipe, encoded.entry);
  } else {
    if (options_.posterior) encoded.entry.plain.sample = encoded.entry.flipped.sample = {};
    entry.kept = std::move(encoded.entry);
  }
  entry.is_there = true;
}

ItemSource LatentCache::source() const {
  return [this](const Appearance& appearance) { return values_of(appearance); };
}

SampleValues LatentCache::values_of(const Appearance& appearance) const {
  const auto& [item, subset, seed, epoch, repeat] = appearance;
  const Entry& entry = entries_[static_cast<size_t>(&item - dataset_.items.data())];
  if (!entry.is_there) throw Error("the picture has no latents", item.image.string());
  const LatentRecipe recipe = recipe_of(item);
  const bool flipped = subset.flip_aug && augment_draws(appearance).flip;
  Latents latents;
  SampleValues values;
  if (options_.to_disk) {
    try {
      latents = read_latents(entry.file, recipe, flipped);
      if (subset.alpha_mask) values.alpha_mask = read_alpha_mask(entry.file, recipe);
    } catch (const Error& error) {
      throw Error(fmt::format("its latents in {} cannot be used ({}); delete the file, and it is "
                              "made anew",
                              entry.file.string(), error.what()),
                  item.image.string());
    }
  } else {
    latents = flipped ? entry.kept.flipped : entry.kept.plain;
    values.alpha_mask = entry.kept.alpha_mask;
  }
  if (flipped) {
    values.alpha_mask = mirrored_planes(std::move(values.alpha_mask),
                                        static_cast<size_t>(item.placement.bucket.width));
  }
  if (options_.posterior) {
    Random random(seed, Draw::kPosterior, static_cast<uint64_t>(epoch), item.id,
                  static_cast<uint64_t>(repeat));
    values.latents = sample_posterior(latents.mean, latents.logvar, random);
  } else {
    values.latents = std::move(latents.sample);
  }
  return values;
}

}  // namespace sdtune
