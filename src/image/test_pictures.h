// For tests of image/ and data/: a folder that goes away with the test, and pictures to put into
// it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "image/encode.h"
#include "image/image.h"

namespace sdtune {

class TestFolder {
 public:
  explicit TestFolder(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::random_device device;
    path_ = parent / ("sdtune-test-" + std::to_string(device()));
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  void write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

// Smooth colours with some noise; different for each seed.
inline Image test_picture(int width, int height, uint32_t seed = 0) {
  Image image(width, height);
  std::mt19937 random(seed);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* pixel = &image.rgb[size_t{3} * (size_t{1} * y * width + x)];
      pixel[0] = static_cast<uint8_t>((x * 3 + seed * 40) % 200 + random() % 40);
      pixel[1] = static_cast<uint8_t>((y * 2 + seed * 70) % 200 + random() % 40);
      pixel[2] = static_cast<uint8_t>((x + y) % 256);
    }
  }
  return image;
}

// Bytes without any order.
inline Image test_noise(int width, int height, uint32_t seed) {
  Image image(width, height);
  std::mt19937 random(seed);
  for (uint8_t& byte : image.rgb) byte = static_cast<uint8_t>(random());
  return image;
}

}  // namespace sdtune
