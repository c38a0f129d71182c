// A plain JPEG decoded by libjpeg itself, at full size or smaller, without libvips' pipeline around
// it: faster, and at full size the same pixels. No answer to what is wrong with a file: whatever is
// unusual is left to libvips. For this folder's own sources only.
#pragma once

#include <optional>
#include <string_view>

#include "image/image.h"

namespace sdtune {

// The picture as stored (not turned, no profile applied) with one pixel for each `shrink` x
// `shrink` of the file's; 1, 2, 4 or 8. A last column or row that is not full counts. libjpeg could
// also make 3/8 or 5/8 of a picture, but only these sizes have vector code and the others take
// longer than the next larger one. Nothing for what is no YCbCr or grey JPEG of 8 bits, and for
// data that libjpeg has any complaint about. The caller bounds the number of pixels. Any thread.
//
// With `area` the picture comes out resized to it by area, with the pixels of resize(): row by row
// as they are decoded, so that the larger picture is never stored. Where that cannot be done by
// rows (area_resize.h) it comes out as without.
std::optional<Image> decode_plain_jpeg(std::string_view bytes, int shrink, Size area = {});

}  // namespace sdtune
