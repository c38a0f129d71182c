// "{a|b|c}" in a caption: one of the alternatives, drawn anew each time. "{{" and "}}" stand for
// the braces themselves. As in sd-scripts nothing nests, and "{}" is left alone.
#pragma once

#include <string>
#include <string_view>

#include "base/philox.h"

namespace sdtune {

// The text with one alternative for each group, all equally likely; a group ends at the first "}"
// that is not half of "}}". Takes any bytes, in time linear in their number.
std::string expand_wildcards(std::string_view text, Random& random);

// True when expand_wildcards() gives one and the same text whatever is drawn.
bool has_one_expansion(std::string_view text);

}  // namespace sdtune
