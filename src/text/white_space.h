// White space as Python's str.strip() sees it, in UTF-8: what sd-scripts trims tags by. Spaces
// wider than ASCII's are among it (U+3000 stands in Japanese tag lists). Not for the tokenizer,
// which has its own classes in python_unicode.h.
#pragma once

#include <string_view>

namespace sdtune {

// The text without white space at its ends.
std::string_view strip(std::string_view utf8);

bool has_white_space(std::string_view utf8);

}  // namespace sdtune
