#include "data/doctor_listing.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "formats/utf8.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

fs::path source_of(const SubsetOptions& subset) {
  return subset.metadata_file.empty() ? subset.image_dir : subset.metadata_file;
}

// Where a subset stands in the run.
struct SubsetPlace {
  const SubsetOptions& subset;
  int64_t dataset = 0;
  int64_t number = 0;    // over all datasets
  bool is_only = false;  // its pictures go by their names below the folder
};

std::string shown_name(const fs::path& image, const SubsetPlace& place) {
  if (!place.is_only || place.subset.image_dir.empty()) return image.string();
  const fs::path below = image.lexically_relative(place.subset.image_dir);
  return below.empty() || *below.begin() == ".." ? image.string() : below.string();
}

std::vector<Sample> read_samples(const SubsetPlace& place, std::vector<Finding>& findings) {
  const SubsetOptions& subset = place.subset;
  ListingFaults faults;
  std::vector<Sample> samples;
  try {
    samples = subset.metadata_file.empty()
                  ? read_plain_folder(subset, &faults)
                  : read_metadata(subset.metadata_file, subset.image_dir, &faults);
  } catch (const Error& error) {
    if (place.is_only) throw;
    findings.push_back(
        {FindingKind::kUnreadableSource, source_of(subset).string(), error.what(), {}});
  }
  for (const std::string& key : faults.missing) {
    findings.push_back({FindingKind::kMissingPicture, key, "no such picture", {}});
  }
  for (const auto& [name, why] : faults.broken) {
    findings.push_back({FindingKind::kBrokenCaption, name, why, {}});
  }
  return samples;
}

// Caption files whose picture is gone, and pictures that share one.
void check_stems(const SubsetPlace& place, const Listing& listing, size_t begin,
                 std::vector<Finding>& findings) {
  const SubsetOptions& subset = place.subset;
  std::map<std::string, size_t> stems;
  for (size_t i = begin; i < listing.pictures.size(); ++i) {
    const CheckedPicture& picture = listing.pictures[i];
    const auto [known, is_new] = stems.emplace(picture.sample.image.stem().string(), i);
    if (is_new) continue;
    findings.push_back({FindingKind::kSharedStem,
                        picture.name,
                        "shares its captions with " + listing.pictures[known->second].name,
                        {i}});
  }
  std::set<std::string> lone;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(subset.image_dir, ignored)) {
    const fs::path name = entry.path().filename();
    if (name.extension() != subset.caption_extension || name.string().starts_with('.')) continue;
    if (!stems.contains(name.stem().string())) lone.insert(name.string());
  }
  for (const std::string& name : lone) {
    findings.push_back({FindingKind::kTextWithoutPicture,
                        shown_name(subset.image_dir / name, place),
                        "no picture of this name",
                        {}});
  }
}

void note_bad_text(CheckedPicture& picture, size_t index, std::vector<Finding>& findings) {
  for (std::string* text : {&picture.sample.caption, &picture.sample.tags}) {
    if (is_utf8(*text)) continue;
    findings.push_back(
        {FindingKind::kBrokenCaption,
         picture.name,
         text == &picture.sample.tags ? "its tags are not UTF-8" : "its caption is not UTF-8",
         {index}});
  }
}

void add_subset(const SubsetPlace& place, Listing& listing) {
  const size_t begin = listing.pictures.size();
  for (Sample& sample : read_samples(place, listing.findings)) {
    CheckedPicture picture;
    picture.name = shown_name(sample.image, place);
    picture.sample = std::move(sample);
    picture.dataset = place.dataset;
    picture.subset = place.number;
    note_bad_text(picture, listing.pictures.size(), listing.findings);
    listing.pictures.push_back(std::move(picture));
  }
  if (place.subset.metadata_file.empty()) check_stems(place, listing, begin, listing.findings);
}

// Finds the first listing of each file. Twice in one dataset is odd; in two datasets it is how
// pictures are trained at two resolutions.
void join_listings(Listing& listing) {
  std::unordered_map<std::string, size_t> first;
  std::set<std::pair<int64_t, size_t>> seen;
  for (size_t i = 0; i < listing.pictures.size(); ++i) {
    CheckedPicture& picture = listing.pictures[i];
    std::error_code ignored;
    const fs::path path = fs::absolute(picture.sample.image, ignored).lexically_normal();
    picture.first = first.emplace(path.string(), i).first->second;
    if (seen.emplace(picture.dataset, picture.first).second) continue;
    listing.findings.push_back(
        {FindingKind::kListedTwice, picture.name, "as \"" + picture.sample.key + "\"", {i}});
  }
}

}  // namespace

Listing list_pictures(const std::vector<DatasetOptions>& datasets) {
  const bool is_only = datasets.size() == 1 && datasets[0].subsets.size() == 1;
  Listing listing;
  int64_t number = 0;
  for (size_t d = 0; d < datasets.size(); ++d) {
    for (const SubsetOptions& subset : datasets[d].subsets) {
      const size_t before = listing.pictures.size() + listing.findings.size();
      add_subset({subset, static_cast<int64_t>(d), number++, is_only}, listing);
      if (listing.pictures.size() + listing.findings.size() > before) continue;
      listing.findings.push_back(
          {FindingKind::kNoPictures, source_of(subset).string(), "no pictures are listed", {}});
    }
  }
  join_listings(listing);
  return listing;
}

}  // namespace sdtune
