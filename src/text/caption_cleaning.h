// Cleaning of written-down tags and captions by the rules of sd-scripts'
// clean_captions_and_tags: tags that contradict or repeat each other go, and captions lose the
// words that captioning models say of drawn pictures. Nothing is drawn here, nothing is tokenized.
#pragma once

#include <string>
#include <string_view>

namespace sdtune {

// Tags separated by commas; the result is separated by ", ", in the order given. Underscores become
// spaces, a rating and what follows it goes; of several people's tags, hair, eyes, sleeves and the
// like go where they differ; "shirt" goes beside "white shirt". Never fails; linear in the length.
std::string clean_tags(std::string_view tags);

// Rules on substrings, so "salesperson" becomes "salesgirl". Never fails; linear in the length.
std::string clean_caption(std::string_view caption);

}  // namespace sdtune
