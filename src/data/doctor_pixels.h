// What the doctor needs of a picture's pixels: proof that they can be decoded, a fingerprint of the
// look, and a thumbnail for the page. Large pictures are shrunk while they are decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdtune {

struct Look {
  uint64_t hash = 0;  // perceptual_hash()
  std::string fault;  // why there is none
};

// One for each file, on threads, with a progress line.
std::vector<Look> look_at(const std::vector<std::filesystem::path>& files, int threads);

// The bytes of a JPEG for each file, its longer side at most `side` pixels, upright and whole;
// empty for a file that cannot be decoded.
std::vector<std::vector<std::byte>> make_thumbnails(const std::vector<std::filesystem::path>& files,
                                                    int side, int threads);

}  // namespace sdtune
