#include "data/latent_file.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "formats/npz.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kRecord = "sdtune";
constexpr NpzLimits kLimits{1ull << 30, 256};

std::vector<int64_t> latent_shape(Size bucket) { return {4, bucket.height / 8, bucket.width / 8}; }

std::string size_suffix(Size bucket) {
  return fmt::format("_{}x{}", bucket.height / 8, bucket.width / 8);
}

std::string written_name(const std::string& name, const LatentRecipe& recipe) {
  return recipe.sized_names ? name + size_suffix(recipe.placement.bucket) : name;
}

// The array of this size: under the name with the size where latents are named so, else under the
// plain one. Never one of each: plain arrays beside sized ones are what an earlier run left.
const NpyInfo* find_array(const NpzFile& file, const std::string& name,
                          const LatentRecipe& recipe) {
  const std::string suffix = size_suffix(recipe.placement.bucket);
  return file.find(file.find("latents" + suffix) ? name + suffix : name);
}

// sd-scripts' first version kept one array without a name, and the mirrored one in a file of its
// own.
const NpyInfo* find_oldest(const NpzFile& file) { return file.find("arr_0"); }

fs::path oldest_flip_file(const fs::path& file) {
  return file.parent_path() / (file.stem().string() + "_flip.npz");
}

std::string interpolation_name(const LatentRecipe& recipe) {
  const Size resized = recipe.placement.resized;
  if (resized == recipe.image) return "none";
  switch (resolved(recipe.interpolation, recipe.image, resized)) {
    case Interpolation::kArea:
      return "area";
    case Interpolation::kLanczos:
      return "lanczos";
    case Interpolation::kNearest:
      return "nearest";
    case Interpolation::kBilinear:
      return "bilinear";
    case Interpolation::kBicubic:
      return "bicubic";
    case Interpolation::kBox:
      return "box";
    case Interpolation::kDefault:
      break;
  }
  throw std::logic_error("a resolved interpolation is none of the choices");
}

// In the order in which differences are told.
std::vector<std::pair<const char*, Json>> record_fields(const LatentRecipe& recipe) {
  const auto pair = [](Size size) { return Json::array({size.width, size.height}); };
  return {{"image", recipe.image_hash},
          {"vae", recipe.vae},
          {"bucket", pair(recipe.placement.bucket)},
          {"resized", pair(recipe.placement.resized)},
          {"interpolation", interpolation_name(recipe)},
          {"decoding", recipe.fast_decode ? "fast" : "full"}};
}

std::string difference(const std::string& field) {
  if (field == "image") return "the picture has changed";
  if (field == "vae") return "another VAE made it";
  if (field == "bucket" || field == "resized") return "it was made for another size";
  return "the picture was resized in another way";
}

std::string compare_record(const NpyArray& array, const LatentRecipe& recipe) {
  const auto* text = reinterpret_cast<const char*>(array.bytes.data());
  const Json record = Json::parse(text, text + array.bytes.size(), nullptr, false);
  if (!record.is_object()) return "its record is damaged";
  for (const auto& [field, wanted] : record_fields(recipe)) {
    const auto found = record.find(field);
    if (found == record.end() || *found != wanted) return difference(field);
  }
  return "";
}

bool has_array(const NpzFile& file, const std::string& name, const std::vector<int64_t>& shape,
               const LatentRecipe& recipe) {
  const NpyInfo* info = find_array(file, name, recipe);
  return info != nullptr && info->shape == shape && info->descr[1] == 'f';
}

std::string check_oldest(const NpzFile& file, const fs::path& path, const LatentRecipe& recipe) {
  const std::vector<int64_t> shape = latent_shape(recipe.placement.bucket);
  if (recipe.alpha_mask) return "it has no alpha mask";
  if (recipe.posterior) return "it has no mean and log-variance";
  const auto fits = [&](const NpyInfo* info) {
    return info != nullptr && info->shape == shape && info->descr[1] == 'f';
  };
  if (!fits(find_oldest(file))) return "it was made for another size";
  if (!recipe.flipped) return "";
  std::error_code ignored;
  if (!fs::is_regular_file(oldest_flip_file(path), ignored)) return "it has no mirrored latents";
  const NpzFile flipped(oldest_flip_file(path), kLimits);
  return fits(find_oldest(flipped)) ? "" : "it has no mirrored latents";
}

std::string check_arrays(const NpzFile& file, const LatentRecipe& recipe) {
  const Size bucket = recipe.placement.bucket;
  const std::vector<int64_t> shape = latent_shape(bucket);
  const NpyInfo* record = find_array(file, kRecord, recipe);
  if (record != nullptr) {
    const std::string difference = compare_record(file.read(record->name), recipe);
    if (!difference.empty()) return difference;
  }
  if (find_array(file, "latents", recipe) == nullptr) return "it has no latents";
  if (!has_array(file, "latents", shape, recipe)) return "it was made for another size";
  if (recipe.flipped && !has_array(file, "latents_flipped", shape, recipe)) {
    return "it has no mirrored latents";
  }
  if (recipe.alpha_mask && !has_array(file, "alpha_mask", {bucket.height, bucket.width}, recipe)) {
    return "it has no alpha mask";
  }
  for (const char* name : {"latents_mean", "latents_logvar"}) {
    const std::string flipped = std::string(name) + "_flipped";
    if (recipe.posterior && (!has_array(file, name, shape, recipe) ||
                             (recipe.flipped && !has_array(file, flipped, shape, recipe)))) {
      return "it has no mean and log-variance";
    }
  }
  return "";
}

std::vector<float> read_array(const NpzFile& file, const std::string& name,
                              const std::vector<int64_t>& shape, const fs::path& path,
                              const LatentRecipe& recipe) {
  const NpyInfo* info = find_array(file, name, recipe);
  if (info == nullptr || info->shape != shape) {
    throw Error(fmt::format("the kept latents have no array '{}' of the right shape", name),
                path.string(), "delete the file; it will be made anew");
  }
  return float_values(file.read(info->name), path.string());
}

void add_side(std::vector<NpyArray>& arrays, const Latents& latents, const std::string& ending,
              const LatentRecipe& recipe) {
  const std::vector<int64_t> shape = latent_shape(recipe.placement.bucket);
  const auto add = [&](const std::string& name, const std::vector<float>& values) {
    if (values.empty()) return;
    arrays.push_back(
        make_npy(written_name(name + ending, recipe), shape, std::span<const float>(values)));
  };
  add("latents", latents.sample);
  add("latents_mean", latents.mean);
  add("latents_logvar", latents.logvar);
}

// The picture fitted into the bucket with bars, in bucket pixels: left, top, right, bottom. What
// SDXL is told of a crop; only kept because readers of these files expect it.
std::vector<float> letterbox(const LatentRecipe& recipe) {
  const Size bucket = recipe.placement.bucket;
  const double ratio = static_cast<double>(recipe.image.width) / recipe.image.height;
  const double bucket_ratio = static_cast<double>(bucket.width) / bucket.height;
  const double width = ratio > bucket_ratio ? bucket.width : bucket.height * ratio;
  const double height = ratio > bucket_ratio ? bucket.width / ratio : bucket.height;
  const double left = std::floor((bucket.width - width) / 2);
  const double top = std::floor((bucket.height - height) / 2);
  return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(left + width),
          static_cast<float>(top + height)};
}

NpyArray text_array(std::string name, const std::string& text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {
      std::move(name), "|u1", {static_cast<int64_t>(text.size())}, {bytes, bytes + text.size()}};
}

// Arrays that the file holds for other sizes.
std::vector<NpyArray> other_arrays(const fs::path& path, const LatentRecipe& recipe) {
  std::error_code ignored;
  if (!recipe.sized_names || !fs::is_regular_file(path, ignored)) return {};
  try {
    std::vector<NpyArray> arrays = read_npz(path, kLimits);
    std::erase_if(arrays, [suffix = size_suffix(recipe.placement.bucket)](const NpyArray& array) {
      return array.name.ends_with(suffix);
    });
    return arrays;
  } catch (const Error&) {
    return {};  // damaged: written anew
  }
}

}  // namespace

fs::path latent_file_name(const fs::path& image, Size size, LatentNaming naming) {
  const std::string stem = image.stem().string();
  if (naming == LatentNaming::kStem) return image.parent_path() / (stem + ".npz");
  return image.parent_path() / fmt::format("{}_{:04}x{:04}_sd.npz", stem, size.width, size.height);
}

std::vector<fs::path> latent_file_candidates(const fs::path& image, Size size, bool sdxl_names) {
  std::vector<fs::path> candidates = {latent_file_name(image, size, LatentNaming::kSized),
                                      latent_file_name(image, size, LatentNaming::kStem)};
  if (sdxl_names) {
    candidates.push_back(image.parent_path() / fmt::format("{}_{:04}x{:04}_sdxl.npz",
                                                           image.stem().string(), size.width,
                                                           size.height));
  }
  return candidates;
}

std::string why_unusable(const fs::path& path, const LatentRecipe& recipe) {
  try {
    const NpzFile file(path, kLimits);
    const bool is_oldest =
        find_oldest(file) != nullptr && find_array(file, "latents", recipe) == nullptr;
    return is_oldest ? check_oldest(file, path, recipe) : check_arrays(file, recipe);
  } catch (const Error&) {
    return "it is damaged";
  }
}

Latents read_latents(const fs::path& path, const LatentRecipe& recipe, bool flipped) {
  const std::vector<int64_t> shape = latent_shape(recipe.placement.bucket);
  const NpzFile file(path, kLimits);
  Latents latents;
  if (find_oldest(file) != nullptr && find_array(file, "latents", recipe) == nullptr) {
    const NpzFile oldest(flipped ? oldest_flip_file(path) : path, kLimits);
    latents.sample = read_array(oldest, "arr_0", shape, path, recipe);
    return latents;
  }
  const std::string ending = flipped ? "_flipped" : "";
  if (!recipe.posterior) {
    latents.sample = read_array(file, "latents" + ending, shape, path, recipe);
    return latents;
  }
  latents.mean = read_array(file, "latents_mean" + ending, shape, path, recipe);
  latents.logvar = read_array(file, "latents_logvar" + ending, shape, path, recipe);
  return latents;
}

std::vector<float> read_alpha_mask(const fs::path& path, const LatentRecipe& recipe) {
  const Size bucket = recipe.placement.bucket;
  return read_array(NpzFile(path, kLimits), "alpha_mask", {bucket.height, bucket.width}, path,
                    recipe);
}

void write_latents(const fs::path& path, const LatentRecipe& recipe, const LatentEntry& entry) {
  const Size bucket = recipe.placement.bucket;
  std::vector<NpyArray> arrays;
  add_side(arrays, entry.plain, "", recipe);
  add_side(arrays, entry.flipped, "_flipped", recipe);
  if (!entry.alpha_mask.empty()) {
    arrays.push_back(make_npy(written_name("alpha_mask", recipe), {bucket.height, bucket.width},
                              std::span<const float>(entry.alpha_mask)));
  }
  const std::vector<int64_t> original = {recipe.image.width, recipe.image.height};
  const std::vector<float> crop = letterbox(recipe);
  arrays.push_back(
      make_npy(written_name("original_size", recipe), {2}, std::span<const int64_t>(original)));
  arrays.push_back(make_npy(written_name("crop_ltrb", recipe), {4}, std::span<const float>(crop)));
  Json record = Json::object();
  for (auto& [field, value] : record_fields(recipe)) record[field] = std::move(value);
  arrays.push_back(text_array(written_name(kRecord, recipe), record.dump()));
  for (NpyArray& array : other_arrays(path, recipe)) arrays.push_back(std::move(array));
  write_npz(path, arrays);
}

}  // namespace sdtune
