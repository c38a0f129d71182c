// The "modelspec.*" entries of a saved safetensors file: what the model is, for programs that list
// models. Format: Stability AI's model metadata specification, 1.0.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "models/family.h"

namespace sdtune {

struct ModelspecFields {
  ModelFamily family = ModelFamily::kV1;
  PredictionType prediction = PredictionType::kEpsilon;
  std::string title;
  std::string version;  // of this program
  // Width and height in pixels; absent: the family's own (512, or 768 for SD 2.x that predicts v).
  std::optional<std::pair<int64_t, int64_t>> resolution;
  std::optional<std::pair<int64_t, int64_t>> timestep_range;  // smallest and largest
  std::optional<int64_t> clip_skip;
  // Written where not empty.
  std::string
      date;  // ISO 8601, local, without a zone; empty keeps equal runs' files equal byte for byte
  std::string author, description, license, tags, usage_hint, merged_from, trigger_phrase,
      preprocessor;
  std::string is_negative_embedding;
  std::string thumbnail;  // a data: URL as it is, or a picture's path, which becomes one
};

std::map<std::string, std::string> modelspec_metadata(const ModelspecFields& fields);

// "data:image/png;base64,…"; Error when the file is missing, over 2 MB or no PNG, JPEG or WebP.
std::string picture_data_url(const std::filesystem::path& picture);

}  // namespace sdtune
