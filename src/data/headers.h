// Sizes and hashes of picture files, from what is remembered of the last run where a file is still
// the same, else from the file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/image_index.h"
#include "image/image.h"

namespace sdtune {

struct Header {
  Size size;
  std::string reason;  // why there is none
};

// One for each path, read on threads, with a progress line. What was learned is put into the index
// and committed.
std::vector<Header> read_headers(const std::vector<std::filesystem::path>& pictures, int threads,
                                 ImageIndex& index);

// hash_file() of a picture, remembered beside the size that its header told. Any thread may call
// it; the caller commits.
std::string picture_hash(const std::filesystem::path& picture, ImageIndex& index);

}  // namespace sdtune
