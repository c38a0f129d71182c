// What is known of each picture before it is opened: where it lies, its caption and its tags. Read
// from metadata, or from the text files beside the pictures of a plain folder. Captions are not put
// together here (text/caption.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset_options.h"
#include "image/image.h"

namespace sdtune {

struct Sample {
  std::filesystem::path image;
  std::string key;  // as the metadata calls it; the file's name in a plain folder
  std::string caption;
  std::string tags;
  std::optional<Size> train_resolution;
  double loss_weight = 1;
};

// Faults of single entries, for reports on a data set: whoever hands one to the functions below
// gets them listed here instead of thrown.
struct ListingFaults {
  std::vector<std::string> missing;                         // keys without a picture
  std::vector<std::pair<std::string, std::string>> broken;  // key or text file, and why
};

// Reads "caption", "tags", "train_resolution" and "loss_weight" of each entry
// (formats/metadata_file.h), in the file's order; other fields are left alone. A key is a path or
// the name of a picture in `image_dir`, with or without its extension. Throws Error naming the file
// and the key, and for keys without a picture one Error that counts them and shows the first five.
std::vector<Sample> read_metadata(const std::filesystem::path& file,
                                  const std::filesystem::path& image_dir,
                                  ListingFaults* faults = nullptr);

// The pictures of a folder without its sub-folders, sorted by name, each with the text of
// `<name><caption_extension>` as its caption, or the class tokens where there is none, and of
// `<name>.txt` as its tags, where that is not the caption. Names that begin with a dot are left
// out. A picture cut around a face (NAME_x_y_w_h) takes NAME's caption where it has none of its
// own. Throws Error when the folder or a text file cannot be read.
std::vector<Sample> read_plain_folder(const SubsetOptions& subset, ListingFaults* faults = nullptr);

}  // namespace sdtune
