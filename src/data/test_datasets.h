// For the tests of datasets, batches and latents: options of a folder, pictures with alpha, files
// that look old, what was said, and an encoder without a model.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "data/dataset.h"
#include "data/item_source.h"
#include "data/latent_encoding.h"
#include "image/test_pictures.h"

namespace sdtune {

inline SubsetOptions subset_of(const fs::path& folder, const std::string& extension = ".caption") {
  SubsetOptions subset;
  subset.image_dir = folder;
  subset.caption_extension = extension;
  return subset;
}

// Squares of 64 pixels, or of `side`.
inline DatasetOptions dataset_of(std::vector<SubsetOptions> subsets, int side = 64) {
  DatasetOptions options;
  options.buckets.resolution = {side, side};
  options.subsets = std::move(subsets);
  return options;
}

// Shapes of about 64 x 64 pixels' area in steps of 64: 64 x 64 and nothing else; of 128 x 128: also
// 64 x 192, 64 x 256 and the like.
inline DatasetOptions bucketed(DatasetOptions options) {
  options.buckets.enable = true;
  options.buckets.min_reso = 64;
  options.buckets.max_reso = 256;
  return options;
}

inline Dataset made(const std::vector<DatasetOptions>& datasets, const ScanOptions& scan = {2}) {
  return make_dataset(datasets, scan);
}
inline Dataset made(const DatasetOptions& options, const ScanOptions& scan = {2}) {
  return made(std::vector{options}, scan);
}

// Index of the item whose picture has this name, in the n-th subset; fails the test when absent.
inline size_t item_named(const Dataset& dataset, const std::string& name, int64_t subset = 0) {
  for (size_t i = 0; i < dataset.items.size(); ++i) {
    const Item& item = dataset.items[i];
    if (item.image.filename() == name && item.subset == subset) return i;
  }
  throw Error("the dataset has no such picture", name);
}

// "what @ where > hint" of the Error that `act` throws; "" when it throws none.
inline std::string error_text(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return std::string(error.what()) + " @ " + error.where() + " > " + error.hint();
  }
  return "";
}

inline std::string stderr_of(const std::function<void()>& act) {
  testing::internal::CaptureStderr();
  try {
    act();
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
  return testing::internal::GetCapturedStderr();
}

// Files that have just changed are not remembered (FileStamp::settled): sets this one's age.
inline void make_old(const fs::path& path, int seconds = 3600) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::seconds(seconds));
}

// A PNG file with alpha, which image.alpha gives.
inline void write_rgba_png(const fs::path& path, const Image& image) {
  const auto number = [](uint32_t value) {
    std::string bytes(4, '\0');
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(value >> (24 - 8 * i));
    return bytes;
  };
  const auto chunk = [&](const std::string& type, const std::string& content) {
    const std::string body = type + content;
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
    return number(static_cast<uint32_t>(content.size())) + body +
           number(static_cast<uint32_t>(crc));
  };
  std::string rows;
  for (size_t i = 0; i < image.alpha.size(); ++i) {
    if (i % image.width == 0) rows += '\0';  // the row's filter: none
    rows.append(reinterpret_cast<const char*>(&image.rgb[3 * i]), 3);
    rows += static_cast<char>(image.alpha[i]);
  }
  uLongf packed_size = compressBound(static_cast<uLong>(rows.size()));
  std::string packed(packed_size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &packed_size,
           reinterpret_cast<const Bytef*>(rows.data()), static_cast<uLong>(rows.size()));
  packed.resize(packed_size);
  write_file(path, "\x89PNG\r\n\x1a\n" +
                       chunk("IHDR", number(static_cast<uint32_t>(image.width)) +
                                         number(static_cast<uint32_t>(image.height)) +
                                         std::string("\x08\x06\0\0\0", 5)) +
                       chunk("IDAT", packed) + chunk("IEND", ""));
}

// Alpha that grows from left to right, so that its mirror image differs.
inline Image with_alpha(Image image) {
  image.alpha.resize(size_t{1} * image.width * image.height);
  for (size_t i = 0; i < image.alpha.size(); ++i) {
    image.alpha[i] = static_cast<uint8_t>(255 * (i % image.width) / (image.width - 1));
  }
  return image;
}

// Means of 8 x 8 pixels in place of a VAE: a pure function of the picture, and of no other in the
// batch. Counts what it is given.
struct FakeEncoder {
  std::atomic<int> pictures = 0;
  std::atomic<int> calls = 0;

  LatentEncoder encoder(std::string fingerprint = "vae") {
    return {std::move(fingerprint),
            [this](std::span<const float> pixels, int64_t count, Size size) {
              ++calls;
              pictures += static_cast<int>(count);
              return encode(pixels, count, size);
            }};
  }

  static LatentMoments encode(std::span<const float> pixels, int64_t count, Size size) {
    const int64_t width = size.width / 8, height = size.height / 8, cells = width * height;
    LatentMoments moments;
    moments.mean.resize(count * 4 * cells);
    moments.logvar.resize(count * 4 * cells);
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t i = 0; i < 3 * 64 * cells; ++i) {
        const int64_t colour = i / (64 * cells), x = i % size.width,
                      y = i / size.width % size.height;
        moments.mean[(n * 4 + colour) * cells + y / 8 * width + x / 8] +=
            pixels[n * 192 * cells + i] / 64;
      }
      for (int64_t i = 0; i < 4 * cells; ++i) {
        moments.logvar[n * 4 * cells + i] = 2 * moments.mean[n * 4 * cells + i] - 1;
      }
    }
    return moments;
  }
};

// What the encoder sees of a picture: cut in the middle, not mirrored.
inline std::vector<float> plain_pixels(const Item& item, SubsetOptions subset) {
  subset.flip_aug = subset.random_crop = subset.color_aug = false;
  return load_pixels({item, subset}).pixels;
}

}  // namespace sdtune
