// A tagger over pictures: an ONNX model, the tags that it knows, and the numbers that it wants to
// see. Three families: WD14's, the newer one with a tag_mapping.json, and DeepDanbooru.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "annotate/caption_run.h"
#include "annotate/onnx_model.h"
#include "annotate/tag_list.h"
#include "annotate/tag_pixels.h"
#include "image/image.h"

namespace sdtune {

enum class TaggerFamily {
  kStandard,      // model.onnx and selected_tags.csv: white squares, blue first, 0 to 255
  kMapped,        // model_optimized.onnx and tag_mapping.json: the same from -1 to 1; gives logits
  kDeepDanbooru,  // model.onnx and tags.txt: squares with their edges repeated, red first, 0 to 1
};

struct TaggerFiles {
  TaggerFamily family = TaggerFamily::kStandard;
  std::filesystem::path model;
  std::filesystem::path tags;
};

// What of a tagger lies in a folder; DeepDanbooru is never guessed, as its tags.txt is a common
// name. Error that names what is missing.
TaggerFiles find_tagger(const std::filesystem::path& folder, bool is_deepdanbooru);
bool has_tagger(const std::filesystem::path& folder, bool is_deepdanbooru);

// The same of the names of files in a folder, told by `is_there`, wherever that folder is: names,
// or nothing when something is missing.
std::optional<TaggerFiles> tagger_among(const std::function<bool(const std::string&)>& is_there,
                                        bool is_deepdanbooru);

std::vector<Tag> read_tags(const TaggerFiles& files);

class Tagger {
 public:
  // `tags`: how many the list has. Error as open_onnx_model, and when the model gives other numbers
  // of scores.
  Tagger(const TaggerFiles& files, size_t tags, const OnnxOptions& options);

  const OnnxFacts& facts() const { return model_->facts(); }

  // The square that score() wants. Any thread may call it.
  Image prepare(const Image& image) const;

  // [pictures, tags], each from 0 to 1; for any number of pictures, whatever the model's batch.
  std::vector<float> score(std::span<const ReadyPicture> pictures);

 private:
  std::vector<float> run(std::span<const ReadyPicture> pictures, size_t batch);

  TaggerFamily family_;
  std::string path_;
  size_t tags_ = 0;
  int side_ = 0;
  PixelOrder order_;
  std::unique_ptr<OnnxModel> model_;
};

}  // namespace sdtune
