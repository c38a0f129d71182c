#include "annotate/tagger.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

constexpr int kSide = 448;          // of models that take any
constexpr int kDanbooruSide = 512;  // DeepDanbooru's
constexpr int64_t kLargestSide = 4096;

int side_of(TaggerFamily family, const OnnxFacts& facts, const std::string& path) {
  if (facts.side > kLargestSide || facts.batch > 4096) {
    throw Error("the model wants pictures of unlikely size or number", path);
  }
  if (facts.side > 0) return static_cast<int>(facts.side);
  return family == TaggerFamily::kDeepDanbooru ? kDanbooruSide : kSide;
}

PixelOrder order_of(TaggerFamily family, bool channels_last) {
  switch (family) {
    case TaggerFamily::kMapped:
      return {channels_last, true, 127.5f, -1};
    case TaggerFamily::kDeepDanbooru:
      return {channels_last, false, 255, 0};
    case TaggerFamily::kStandard:
      break;
  }
  return {channels_last, true, 1, 0};
}

// The wrong list beside a model would give wrong words without a sign of it.
void check_scores(size_t scores, size_t tags, const std::string& path) {
  if (scores == tags) return;
  throw Error(fmt::format("the model gives {} scores, but its list has {} tags", scores, tags),
              path, "Take model and list from one repository.");
}

fs::path first_of(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (fs::is_regular_file(folder / name)) return folder / name;
  }
  return {};
}

[[noreturn]] void refuse_folder(const fs::path& folder, const std::string& wanted) {
  const bool is_tensorflow = fs::exists(folder / "saved_model.pb");
  throw Error(fmt::format("there is no tagger in this folder: {}", wanted), folder.string(),
              is_tensorflow
                  ? "This is TensorFlow's form; download model.onnx of the same repository."
                  : "Download the tagger's ONNX file and its list of tags.");
}

}  // namespace

TaggerFiles find_tagger(const fs::path& folder, bool is_deepdanbooru) {
  TaggerFiles files;
  files.model = first_of(folder, {"model.onnx", "model_optimized.onnx"});
  if (is_deepdanbooru) {
    files.family = TaggerFamily::kDeepDanbooru;
    files.tags = first_of(folder, {"tags.txt"});
    if (files.model.empty()) files.model = first_of(folder, {"deepdanbooru.onnx"});
    if (files.model.empty() || files.tags.empty()) {
      refuse_folder(folder, "model.onnx and tags.txt are wanted");
    }
    return files;
  }
  files.tags = first_of(folder, {"selected_tags.csv"});
  if (files.tags.empty()) {
    files.family = TaggerFamily::kMapped;
    files.model = first_of(folder, {"model_optimized.onnx", "model.onnx"});
    files.tags = first_of(folder, {"tag_mapping.json"});
  }
  if (files.model.empty() || files.tags.empty()) {
    refuse_folder(folder,
                  "model.onnx and selected_tags.csv are wanted, or model_optimized.onnx and "
                  "tag_mapping.json");
  }
  return files;
}

std::vector<Tag> read_tags(const TaggerFiles& files) {
  switch (files.family) {
    case TaggerFamily::kMapped:
      return read_tag_mapping(files.tags);
    case TaggerFamily::kDeepDanbooru:
      return read_danbooru_tags(files.tags);
    case TaggerFamily::kStandard:
      break;
  }
  return read_selected_tags(files.tags);
}

Tagger::Tagger(const TaggerFiles& files, size_t tags, const OnnxOptions& options)
    : family_(files.family),
      path_(files.model.string()),
      tags_(tags),
      model_(open_onnx_model(options)) {
  side_ = side_of(family_, facts(), path_);
  order_ = order_of(family_, facts().channels_last);
  if (facts().scores > 0) check_scores(static_cast<size_t>(facts().scores), tags_, path_);
}

Image Tagger::prepare(const Image& image) const {
  return family_ == TaggerFamily::kDeepDanbooru ? edge_square(image, side_)
                                                : white_square(image, side_);
}

std::vector<float> Tagger::run(std::span<const ReadyPicture> pictures, size_t batch) {
  const size_t numbers = size_t{3} * side_ * side_;
  std::vector<float> pixels(numbers * batch);
  for (size_t i = 0; i < pictures.size(); ++i) {
    to_tagger_numbers(pictures[i].image, order_, &pixels[i * numbers]);
  }
  std::vector<float> scores = model_->run(pixels, static_cast<int64_t>(batch), side_);
  check_scores(scores.size() / batch, tags_, path_);
  scores.resize(pictures.size() * tags_);
  for (float& score : scores) {
    if (family_ == TaggerFamily::kMapped) score = 1 / (1 + std::exp(-score));
    if (std::isnan(score)) throw Error("the model's scores are no numbers", path_);
  }
  return scores;
}

std::vector<float> Tagger::score(std::span<const ReadyPicture> pictures) {
  const auto fixed = static_cast<size_t>(facts().batch);
  if (fixed == 0) return run(pictures, pictures.size());
  std::vector<float> all;
  for (size_t begin = 0; begin < pictures.size(); begin += fixed) {
    const size_t count = std::min(fixed, pictures.size() - begin);
    const std::vector<float> scores = run(pictures.subspan(begin, count), fixed);
    all.insert(all.end(), scores.begin(), scores.end());
  }
  return all;
}

}  // namespace sdtune
