// What is known of each picture before it is opened: where it lies, its caption and its tags. Read
// from a metadata JSON, or from the text files beside the pictures of a plain folder. Captions are
// not put together here (text/caption.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace sdtune {

struct Sample {
  std::filesystem::path image;
  std::string caption;
  std::string tags;
  std::optional<Size> train_resolution;
};

// Reads {"key": {"caption": ..., "tags": ..., "train_resolution": [w, h]}, ...}; other fields are
// left alone. A key is a path or the name of a picture in `image_dir`, with or without its
// extension. Samples are sorted by key. Throws Error naming the file and the key, and for keys
// without a picture one Error that counts them and shows the first five.
std::vector<Sample> read_metadata(const std::filesystem::path& file,
                                  const std::filesystem::path& image_dir);

// The pictures of a folder without its sub-folders, sorted by name, each with the text of
// `<name>.caption` as its caption and `<name>.txt` as its tags. Names that begin with a dot are
// left out. Throws Error when the folder cannot be read.
std::vector<Sample> read_plain_folder(const std::filesystem::path& folder);

}  // namespace sdtune
