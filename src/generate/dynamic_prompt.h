// Choices in prompts, as sd-scripts' gen_img has them: {a|b} one of the two, {2$$a|b|c} two of them
// joined by ", ", {1-2$$ and $$a|b|c} one or two joined by " and ", {e$$a|b} each in turn. They
// nest, and "\{" and "\}" are the braces themselves. Not the wildcards of captions
// (text/wildcards.h), which do not nest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/philox.h"

namespace sdtune {

// The prompts that the text stands for: one, or with {e$$…} one for each combination, the first
// such braces changing slowest. Choices are drawn from `random`, inner braces first; drawn ones
// stand in the order drawn, enumerated ones in the order written. Braces without a partner are
// text. UsageError for more than 10,000 prompts.
std::vector<std::string> expand_dynamic_prompt(std::string_view text, Random& random);

}  // namespace sdtune
