// Which code points Unicode 14 had not assigned. The table pins this one property, so that the
// Unicode version of the installed utf8proc cannot change how a caption is cut. Used by
// python_unicode.cc alone.
#pragma once

#include <cstdint>

namespace sdtune {

bool is_unassigned_in_unicode_14(char32_t c);

}  // namespace sdtune
