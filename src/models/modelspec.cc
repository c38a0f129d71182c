#include "models/modelspec.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxThumbnail = 2 << 20;

std::string architecture(const ModelspecFields& fields) {
  if (fields.family == ModelFamily::kV1) return "stable-diffusion-v1";
  return fields.prediction == PredictionType::kV ? "stable-diffusion-v2-768-v"
                                                 : "stable-diffusion-v2-512";
}

std::pair<int64_t, int64_t> default_resolution(const ModelspecFields& fields) {
  const bool large = fields.family == ModelFamily::kV2 && fields.prediction == PredictionType::kV;
  return large ? std::pair<int64_t, int64_t>(768, 768) : std::pair<int64_t, int64_t>(512, 512);
}

// RFC 4648, section 4.
std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += j <= count ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

const char* media_type(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG")) return "image/png";
  if (bytes.starts_with("\xff\xd8\xff")) return "image/jpeg";
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) return "image/webp";
  return nullptr;
}

}  // namespace

std::string picture_data_url(const std::filesystem::path& picture) {
  const std::string bytes = read_file(picture, kMaxThumbnail);
  const char* type = media_type(bytes);
  if (!type) {
    throw Error("the thumbnail is no PNG, JPEG or WebP picture", picture.string(),
                "Convert it to one of these.");
  }
  return fmt::format("data:{};base64,{}", type, base64(bytes));
}

std::map<std::string, std::string> modelspec_metadata(const ModelspecFields& fields) {
  const auto [width, height] = fields.resolution.value_or(default_resolution(fields));
  std::map<std::string, std::string> metadata = {
      {"sai_model_spec", "1.0.1"},
      {"architecture", architecture(fields)},
      {"implementation", "https://github.com/Stability-AI/generative-models"},
      {"implementation_version", "sdtune/" + fields.version},
      {"title", fields.title},
      {"resolution", fmt::format("{}x{}", width, height)},
      {"prediction_type", fields.prediction == PredictionType::kV ? "v" : "epsilon"},
  };
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) metadata[key] = value;
  };
  add("date", fields.date);
  add("author", fields.author);
  add("description", fields.description);
  add("license", fields.license);
  add("tags", fields.tags);
  add("usage_hint", fields.usage_hint);
  add("merged_from", fields.merged_from);
  add("trigger_phrase", fields.trigger_phrase);
  add("preprocessor", fields.preprocessor);
  add("is_negative_embedding", fields.is_negative_embedding);
  const bool is_path = !fields.thumbnail.empty() && !fields.thumbnail.starts_with("data:");
  add("thumbnail", is_path ? picture_data_url(fields.thumbnail) : fields.thumbnail);
  if (fields.timestep_range) {
    metadata["timestep_range"] =
        fmt::format("{},{}", fields.timestep_range->first, fields.timestep_range->second);
  }
  if (fields.clip_skip) metadata["encoder_layer"] = std::to_string(*fields.clip_skip);

  std::map<std::string, std::string> named;
  for (auto& [key, value] : metadata) named["modelspec." + key] = std::move(value);
  return named;
}

}  // namespace sdtune
