#include <algorithm>
#include <array>

#include "data/doctor.h"

namespace sdtune {
namespace {

using enum FindingKind;
using enum Severity;

constexpr std::array kKinds = {
    FindingInfo{kNoPictures, kError, "no_pictures", "nothing to train on",
                "correct the folder, the metadata or the faults below"},
    FindingInfo{kUnreadableSource, kError, "unreadable_source",
                "folders or metadata that cannot be read", "correct the path or the file"},
    FindingInfo{kMissingPicture, kError, "missing_picture",
                "entries of metadata without a picture; training refuses to start",
                "correct --train_data_dir, or remove the entries"},
    FindingInfo{kUnreadablePicture, kError, "unreadable_picture",
                "pictures that cannot be read and are left out of training",
                "fetch them again, or remove them"},
    FindingInfo{kUnplaceablePicture, kError, "unplaceable_picture",
                "pictures too thin or too small for any bucket, left out of training",
                "cut or remove them"},
    FindingInfo{kBrokenCaption, kError, "broken_caption", "captions that cannot be read",
                "write them as UTF-8 text, and fields of metadata as strings"},
    FindingInfo{kNoSpace, kError, "no_space", "disks without room for what the run writes",
                "make room, save less often, or write fp16 with --save_precision"},
    FindingInfo{kNoResolution, kWarning, "no_resolution",
                "datasets without a resolution, looked at as 512 x 512; training asks for one",
                "give --resolution"},
    FindingInfo{kCopies, kWarning, "copies", "groups of pictures with the same bytes",
                "keep one of each; num_repeats or --dataset_repeats weigh pictures better"},
    FindingInfo{kNearCopies, kWarning, "near_copies", "groups of pictures that look the same",
                "look at them, and keep the best of each"},
    FindingInfo{kMissingCaption, kWarning, "missing_caption",
                "pictures with neither caption nor tags, trained with an empty caption",
                "write captions, or correct --caption_extension"},
    FindingInfo{kEmptyCaption, kWarning, "empty_caption",
                "pictures whose caption file is empty, trained with an empty caption",
                "write captions into these files"},
    FindingInfo{kLongCaption, kWarning, "long_caption",
                "captions longer than the tokens that training reads",
                "shorten them, or raise --max_token_length up to 225"},
    FindingInfo{kOddTags, kWarning, "odd_tags", "captions with something odd in them",
                "`sdtune clean` puts many of these right in metadata"},
    FindingInfo{kTinyPicture, kWarning, "tiny_picture",
                "tiny pictures, enlarged to at least twice their sides",
                "find larger versions, or leave them out"},
    FindingInfo{kHeavyCrop, kWarning, "heavy_crop", "pictures that lose over a quarter to the crop",
                "use --enable_bucket, or a wider range of buckets"},
    FindingInfo{kHugePicture, kNote, "huge_picture", "huge pictures, slow to decode",
                "`sdtune resize` makes smaller copies; --fast_decode or cached latents help too"},
    FindingInfo{kEnlarged, kNote, "enlarged_picture", "pictures enlarged a little",
                "use --bucket_no_upscale to train them at their own size"},
    FindingInfo{kDropped, kNote, "dropped_picture", "pictures dropped with their small bucket",
                "use --small_buckets=merge to keep them"},
    FindingInfo{kListedTwice, kNote, "listed_twice", "pictures listed more than once in a dataset",
                "keep one entry for each; num_repeats weighs subsets"},
    FindingInfo{kSharedStem, kNote, "shared_stem",
                "pictures that share their caption file with another one",
                "give each picture a name of its own"},
    FindingInfo{kTextWithoutPicture, kNote, "text_without_picture",
                "caption files without a picture", "remove them, or find their pictures"},
    FindingInfo{kTagSpelling, kNote, "tag_spelling", "tags spelled in several ways",
                "settle on one spelling: to the model they are different words"},
    FindingInfo{kWrongExtension, kNote, "wrong_extension",
                "pictures whose extension names another format",
                "nothing for training; other programs may stumble"},
    FindingInfo{kTurned, kNote, "turned_by_exif", "pictures turned upright by their EXIF data",
                "nothing; see that their crops are as you expect"},
    FindingInfo{kAlpha, kNote, "alpha", "pictures with transparency",
                "they are laid on white; --alpha_mask trains on the visible part alone"},
    FindingInfo{kSixteenBit, kNote, "sixteen_bit", "pictures with 16 bits, reduced to 8",
                "nothing needs to be done"},
    FindingInfo{kCmyk, kNote, "cmyk", "CMYK pictures, converted to RGB",
                "compare the colours; convert them yourself where they matter"},
    FindingInfo{kAnimated, kNote, "animated", "pictures of several frames; the first one is used",
                "nothing, where the first frame is the right one"},
    FindingInfo{kShortBatch, kNote, "short_batch", "buckets with fewer samples than a batch",
                "use --small_buckets=merge, fewer buckets or smaller batches"},
};

constexpr bool kinds_stand_in_order() {
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (static_cast<size_t>(kKinds[i].kind) != i) return false;
  }
  return kKinds.back().kind == kShortBatch;
}
static_assert(kinds_stand_in_order());

}  // namespace

std::span<const FindingInfo> finding_kinds() { return kKinds; }

const FindingInfo& info_of(FindingKind kind) { return kKinds[static_cast<size_t>(kind)]; }

std::string severity_name(Severity severity) {
  if (severity == kError) return "error";
  return severity == kWarning ? "warning" : "note";
}

int64_t count_of(const std::vector<Finding>& findings, Severity severity) {
  return std::count_if(findings.begin(), findings.end(), [severity](const Finding& finding) {
    return info_of(finding.kind).severity == severity;
  });
}

void sort_by_kind(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.kind < b.kind; });
}

}  // namespace sdtune
