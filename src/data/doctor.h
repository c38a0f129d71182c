// The doctor of datasets: looks at every picture and caption that training would use and lists what
// needs a hand, instead of stopping at the first fault as make_dataset() does. Places pictures by
// the same functions, so its buckets are training's. Says nothing itself: reports are written in
// doctor_text.h, doctor_json.h and the command.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "image/picture_facts.h"
#include "text/clip_tokenizer.h"

namespace sdtune {

enum class Severity { kError, kWarning, kNote };

// In the order of reports: the worst first.
enum class FindingKind {
  kNoPictures,
  kUnreadableSource,
  kMissingPicture,
  kUnreadablePicture,
  kUnplaceablePicture,
  kBrokenCaption,
  kNoSpace,
  kNoResolution,
  kCopies,
  kNearCopies,
  kMissingCaption,
  kEmptyCaption,
  kLongCaption,
  kOddTags,
  kTinyPicture,
  kHeavyCrop,
  kHugePicture,
  kEnlarged,
  kDropped,
  kListedTwice,
  kSharedStem,
  kTextWithoutPicture,
  kTagSpelling,
  kWrongExtension,
  kTurned,
  kAlpha,
  kSixteenBit,
  kCmyk,
  kAnimated,
  kShortBatch,
};

struct FindingInfo {
  FindingKind kind;
  Severity severity;
  const char* id;      // "unreadable_picture", for machines
  const char* title;   // "pictures that cannot be read"
  const char* advice;  // what to do, one sentence without full stop
};

// One for each kind, in the order of the enum.
std::span<const FindingInfo> finding_kinds();
const FindingInfo& info_of(FindingKind kind);
std::string severity_name(Severity severity);  // "error"

struct Finding {
  FindingKind kind;
  std::string name;  // of the picture, file, tag or bucket
  std::string detail;
  std::vector<size_t> pictures;  // indices into Diagnosis::pictures; may be empty
};

// One listing of a picture; a picture in two subsets has two.
struct CheckedPicture {
  Sample sample;
  std::string name;     // as reports show it: below its folder where there is one folder only
  int64_t dataset = 0;  // index into what examine() was given
  int64_t subset = 0;   // counted over all datasets
  size_t first = 0;     // the first listing of the same file: its own index, or an earlier one
  bool is_readable = false;
  PictureFacts facts;                  // of readable ones
  std::string caption;                 // as one step may see it, nothing dropped or shuffled
  int64_t tokens = 0;                  // of the longest caption that wildcards can give
  std::optional<Placement> placement;  // none: not trained on
};

struct CheckedBucket {
  Bucket bucket;
  int64_t pictures = 0;
  int64_t samples = 0;  // pictures with their repeats
  int64_t batches = 0;  // in an epoch
  double mean_loss = 0;
  double worst_loss = 0;  // share of the resized picture that is cut off
};

struct Diagnosis {
  std::vector<CheckedPicture> pictures;
  std::vector<Finding> findings;  // by kind
  Dataset dataset;                // what training would see; may be empty
  std::vector<CheckedBucket> buckets;
  std::array<int64_t, 4> caption_lengths{};  // tokens up to 75, 150, 225, and above
};

struct DoctorOptions {
  int threads = 4;
  SmallBuckets small_buckets = SmallBuckets::kShortBatch;
  bool decode_pictures = true;  // finds damage behind the headers, and near copies
  int64_t max_token_length = 75;
  bool weighted_captions = false;
  TextFamily family = TextFamily::kV1;
};

// Examines all pictures, with progress lines. UsageError for options that do not fit together;
// Error when the only subset's folder or metadata cannot be read at all. Everything else is a
// finding.
Diagnosis examine(const std::vector<DatasetOptions>& datasets, const DoctorOptions& options);

// The part of the resized picture that training sees without random_crop, as shares of its sides.
struct CropShare {
  double x = 0, y = 0, width = 1, height = 1;
};
CropShare crop_share(const Placement& placement);

// Share of the resized picture's area that lies outside, 0 for none.
double crop_loss(const Placement& placement);

// How many findings have this severity.
int64_t count_of(const std::vector<Finding>& findings, Severity severity);

void sort_by_kind(std::vector<Finding>& findings);

}  // namespace sdtune
