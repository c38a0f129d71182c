// `sdtune resize` (sd-scripts' resize_images_to_resolution.py): a folder of pictures, each made
// smaller to several numbers of pixels. Proportions are kept, and each size is made from the
// original.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "image/resize.h"
#include "options/option.h"

namespace sdtune {

struct ResizeImagesOptions {
  std::filesystem::path src_img_folder;
  std::filesystem::path dst_img_folder;
  std::string max_resolution = "512x512,384x384,256x256,128x128";
  int divisible_by = 1;
  Interpolation interpolation = Interpolation::kArea;
  bool save_as_png = false;
  bool copy_associated_files = false;

  template <class V>
  void visit(V& v) {
    v("src_img_folder", src_img_folder, "Folder of the pictures; sub-folders are left alone.",
      Positional{}, Required{});
    v("dst_img_folder", dst_img_folder,
      "Folder to write to. Files that are no pictures are copied there.", Positional{}, Required{});
    v("max_resolution", max_resolution,
      "Sizes to make, as 512x512,384x384. A picture with more pixels than width times height is "
      "made smaller, one with fewer keeps its size.");
    v("divisible_by", divisible_by, "Cut the sides, evenly, to multiples of this.",
      Range{1, 65536});
    v("interpolation", interpolation, "How pixels are computed.",
      EnumNames<Interpolation>{{"area", Interpolation::kArea},
                               {"cubic", Interpolation::kBicubic},
                               {"lanczos4", Interpolation::kLanczos},
                               {"nearest", Interpolation::kNearest},
                               {"linear", Interpolation::kBilinear},
                               {"box", Interpolation::kBox},
                               {"bicubic", Interpolation::kBicubic},
                               {"lanczos", Interpolation::kLanczos},
                               {"bilinear", Interpolation::kBilinear}});
    v("save_as_png", save_as_png, "Write PNG instead of JPEG with quality 100.");
    v("copy_associated_files", copy_associated_files,
      "Copy files that have a picture's name but for the extension, such as captions, once beside "
      "each of its sizes.");
  }
};

// The picture's size with at most the limit's number of pixels, in proportion, sides rounded down.
Size size_within(Size picture, Size limit);

int run_resize_images(std::span<const std::string> args);

}  // namespace sdtune
