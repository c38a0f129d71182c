// A picture's caption text, put together from its caption and its tags before it is tokenized.
// Shuffling, dropping and wildcards are not done here.
#pragma once

#include <string>
#include <string_view>

namespace sdtune {

// "caption,tags"; one alone is enough. No space is added after the separator.
std::string compose_caption(std::string_view caption, std::string_view tags,
                            std::string_view separator = ",");

// What a caption without wildcards is trained with: its first line, up to the first line feed.
std::string plain_caption(std::string_view composed);

}  // namespace sdtune
