#include "data/doctor.h"

#include <fmt/format.h>

#include <utility>

#include "data/doctor_captions.h"
#include "data/doctor_listing.h"
#include "data/doctor_pictures.h"

namespace sdtune {
namespace {

double area(Size size) { return static_cast<double>(size.width) * size.height; }

}  // namespace

double crop_loss(const Placement& placement) {
  return 1 - area(placement.bucket) / area(placement.resized);
}

CropShare crop_share(const Placement& placement) {
  const auto& [bucket, resized] = placement;
  // Whole pixels, as load_pixels() cuts them.
  const int x = (resized.width - bucket.width) / 2;
  const int y = (resized.height - bucket.height) / 2;
  return {static_cast<double>(x) / resized.width, static_cast<double>(y) / resized.height,
          static_cast<double>(bucket.width) / resized.width,
          static_cast<double>(bucket.height) / resized.height};
}

Diagnosis examine(const std::vector<DatasetOptions>& datasets, const DoctorOptions& options) {
  Listing listing = list_pictures(datasets);
  Diagnosis diagnosis;
  diagnosis.pictures = std::move(listing.pictures);
  diagnosis.findings = std::move(listing.findings);
  for (const DatasetOptions& dataset : datasets) {
    for (const SubsetOptions& subset : dataset.subsets) {
      diagnosis.dataset.subsets.push_back(subset);
    }
  }
  check_files(options, diagnosis);
  check_captions(diagnosis.dataset.subsets, options, diagnosis);
  place_pictures(datasets, options, diagnosis);
  if (diagnosis.dataset.items.empty() && !diagnosis.pictures.empty()) {
    diagnosis.findings.push_back(
        {FindingKind::kNoPictures,
         "all datasets",
         fmt::format("none of {} pictures can be used", diagnosis.pictures.size()),
         {}});
  }
  sort_by_kind(diagnosis.findings);
  return diagnosis;
}

}  // namespace sdtune
