#include <algorithm>
#include <map>
#include <string_view>

#include "base/error.h"
#include "data/doctor_duplicates.h"
#include "data/doctor_pictures.h"
#include "data/doctor_pixels.h"
#include "data/doctor_work.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHugePixels = 25'000'000;
constexpr size_t kNamesShown = 5;
// Hashes of pictures without any structure: equal ones mean nothing.
constexpr uint64_t kFlat = 0;
constexpr uint64_t kRising = ~uint64_t{0};

// Why the header cannot be read; empty where it can.
std::string read_facts(CheckedPicture& picture) {
  try {
    picture.facts = picture_facts(picture.sample.image);
    picture.is_readable = true;
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string format_of_name(const fs::path& path) {
  static const std::map<std::string, std::string> kFormats = {
      {".png", "PNG"},  {".jpg", "JPEG"},  {".jpeg", "JPEG"},   {".webp", "WebP"},
      {".bmp", "BMP"},  {".avif", "AVIF"}, {".jxl", "JPEG XL"}, {".gif", "GIF"},
      {".tif", "TIFF"}, {".tiff", "TIFF"}};
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto known = kFormats.find(extension);
  return known == kFormats.end() ? "" : known->second;
}

void note_facts(size_t index, Diagnosis& diagnosis) {
  const CheckedPicture& picture = diagnosis.pictures[index];
  const PictureFacts& facts = picture.facts;
  const std::string size = fmt::format("{} x {}", facts.size.width, facts.size.height);
  const auto add = [&](FindingKind kind, const std::string& detail) {
    diagnosis.findings.push_back({kind, picture.name, detail, {index}});
  };
  if (int64_t{facts.size.width} * facts.size.height > kHugePixels) {
    add(FindingKind::kHugePicture, size);
  }
  const std::string expected = format_of_name(picture.sample.image);
  if (!expected.empty() && expected != facts.format) {
    add(FindingKind::kWrongExtension, "it is " + facts.format);
  }
  if (facts.is_turned) add(FindingKind::kTurned, size + " upright");
  const SubsetOptions& subset = diagnosis.dataset.subsets[picture.subset];
  if (facts.has_alpha) {
    add(FindingKind::kAlpha, subset.alpha_mask ? "kept as a mask" : "laid on white");
  }
  if (facts.is_16_bit) add(FindingKind::kSixteenBit, facts.format);
  if (facts.is_cmyk) add(FindingKind::kCmyk, facts.format);
  if (facts.pages > 1) add(FindingKind::kAnimated, fmt::format("{} frames", facts.pages));
}

// The first listings of all files that can be read so far.
std::vector<size_t> readable_files(const std::vector<CheckedPicture>& pictures) {
  std::vector<size_t> files;
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i].first == i && pictures[i].is_readable) files.push_back(i);
  }
  return files;
}

std::vector<fs::path> paths_of(const std::vector<size_t>& files,
                               const std::vector<CheckedPicture>& pictures) {
  std::vector<fs::path> paths;
  paths.reserve(files.size());
  for (const size_t file : files) paths.push_back(pictures[file].sample.image);
  return paths;
}

// `members` are indices into `files`.
void add_group(FindingKind kind, const std::vector<size_t>& files, const Group& members,
               Diagnosis& diagnosis) {
  Finding finding{kind, diagnosis.pictures[files[members[0]]].name, "", {}};
  std::string others;
  for (size_t i = 0; i < members.size(); ++i) {
    finding.pictures.push_back(files[members[i]]);
    if (i == 0 || i > kNamesShown) continue;
    others += (i == 1 ? "" : ", ") + diagnosis.pictures[files[members[i]]].name;
  }
  if (members.size() > kNamesShown + 1) {
    others += fmt::format(" and {} more", members.size() - kNamesShown - 1);
  }
  finding.detail = (kind == FindingKind::kCopies ? "the same as " : "looks like ") + others;
  diagnosis.findings.push_back(std::move(finding));
}

// Adds groups of copies; returns which files are the second or a later one of its group.
std::vector<bool> find_copies(const std::vector<size_t>& files, int threads, Diagnosis& diagnosis) {
  std::vector<bool> is_copy(files.size());
  for (const Group& group : equal_files(paths_of(files, diagnosis.pictures), threads)) {
    add_group(FindingKind::kCopies, files, group, diagnosis);
    for (size_t i = 1; i < group.size(); ++i) is_copy[group[i]] = true;
  }
  return is_copy;
}

void check_pixels(const std::vector<size_t>& files, const std::vector<bool>& is_copy,
                  const DoctorOptions& options, Diagnosis& diagnosis) {
  const std::vector<Look> looks = look_at(paths_of(files, diagnosis.pictures), options.threads);
  std::vector<size_t> seen;
  std::vector<uint64_t> hashes;
  for (size_t i = 0; i < files.size(); ++i) {
    CheckedPicture& picture = diagnosis.pictures[files[i]];
    if (!looks[i].fault.empty()) {
      picture.is_readable = false;
      diagnosis.findings.push_back(
          {FindingKind::kUnreadablePicture, picture.name, looks[i].fault, {files[i]}});
    } else if (!is_copy[i] && looks[i].hash != kFlat && looks[i].hash != kRising) {
      seen.push_back(files[i]);
      hashes.push_back(looks[i].hash);
    }
  }
  for (const Group& group : near_groups(hashes)) {
    add_group(FindingKind::kNearCopies, seen, group, diagnosis);
  }
}

}  // namespace

void check_files(const DoctorOptions& options, Diagnosis& diagnosis) {
  std::vector<CheckedPicture>& pictures = diagnosis.pictures;
  std::vector<std::string> faults(pictures.size());
  work_through(pictures.size(), {.label = "reading headers", .threads = options.threads},
               [&](size_t i) {
                 if (pictures[i].first == i) faults[i] = read_facts(pictures[i]);
               });
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i].first != i) continue;
    if (pictures[i].is_readable) {
      note_facts(i, diagnosis);
    } else {
      diagnosis.findings.push_back(
          {FindingKind::kUnreadablePicture, pictures[i].name, faults[i], {i}});
    }
  }
  const std::vector<size_t> files = readable_files(pictures);
  const std::vector<bool> is_copy = find_copies(files, options.threads, diagnosis);
  if (options.decode_pictures) check_pixels(files, is_copy, options, diagnosis);
  for (CheckedPicture& picture : pictures) {
    picture.facts = pictures[picture.first].facts;
    picture.is_readable = pictures[picture.first].is_readable;
  }
}

}  // namespace sdtune
