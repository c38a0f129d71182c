// Many pictures on one page: a row for each prompt, which stands to its left, and titled columns.
#pragma once

#include <string>
#include <vector>

#include "image/image.h"

namespace sdtune {

struct SheetRow {
  std::string label;            // wrapped, and cut where it is longer than the row is high
  std::vector<Image> pictures;  // as large as they stand there; one without pixels: empty place
};

struct ContactSheet {
  std::vector<std::string> columns;  // titles; may be fewer than the pictures of a row
  std::vector<SheetRow> rows;
};

// The picture as it goes on a sheet: no side over 256 pixels.
Image sheet_cell(const Image& picture);

// The sheet as a picture, white where nothing is. Throws Error when it has no picture.
Image draw_contact_sheet(const ContactSheet& sheet);

}  // namespace sdtune
