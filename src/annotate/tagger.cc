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

std::optional<TaggerFiles> tagger_in(const fs::path& folder, bool is_deepdanbooru) {
  return tagger_among([&](const std::string& name) { return fs::is_regular_file(folder / name); },
                      is_deepdanbooru);
}

[[noreturn]] void refuse_folder(const fs::path& folder, bool is_deepdanbooru) {
  const char* wanted = is_deepdanbooru ? "model.onnx and tags.txt"
                                       : "model.onnx and selected_tags.csv, or "
                                         "model_optimized.onnx and tag_mapping.json";
  const bool is_tensorflow = fs::exists(folder / "saved_model.pb");
  throw Error(
      fmt::format("there is no tagger in this folder: {} are wanted", wanted), folder.string(),
      is_tensorflow ? "This is TensorFlow's form; download model.onnx of the same repository."
                    : "Download the tagger's ONNX file and its list of tags.");
}

}  // namespace

std::optional<TaggerFiles> tagger_among(const std::function<bool(const std::string&)>& is_there,
                                        bool is_deepdanbooru) {
  struct Form {
    TaggerFamily family;
    const char* model;
    const char* tags;
  };
  // The first choice first.
  constexpr Form kForms[] = {{TaggerFamily::kStandard, "model.onnx", "selected_tags.csv"},
                             {TaggerFamily::kStandard, "model_optimized.onnx", "selected_tags.csv"},
                             {TaggerFamily::kMapped, "model_optimized.onnx", "tag_mapping.json"},
                             {TaggerFamily::kMapped, "model.onnx", "tag_mapping.json"},
                             {TaggerFamily::kDeepDanbooru, "model.onnx", "tags.txt"},
                             {TaggerFamily::kDeepDanbooru, "model_optimized.onnx", "tags.txt"},
                             {TaggerFamily::kDeepDanbooru, "deepdanbooru.onnx", "tags.txt"}};
  for (const Form& form : kForms) {
    if ((form.family == TaggerFamily::kDeepDanbooru) != is_deepdanbooru) continue;
    if (is_there(form.model) && is_there(form.tags)) {
      return TaggerFiles{form.family, form.model, form.tags};
    }
  }
  return std::nullopt;
}

TaggerFiles find_tagger(const fs::path& folder, bool is_deepdanbooru) {
  auto files = tagger_in(folder, is_deepdanbooru);
  if (!files) refuse_folder(folder, is_deepdanbooru);
  files->model = folder / files->model;
  files->tags = folder / files->tags;
  return *files;
}

bool has_tagger(const fs::path& folder, bool is_deepdanbooru) {
  return tagger_in(folder, is_deepdanbooru).has_value();
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
