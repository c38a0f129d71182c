#include "text/caption.h"

namespace sdtune {

std::string compose_caption(std::string_view caption, std::string_view tags,
                            std::string_view separator) {
  std::string composed(caption);
  if (tags.empty()) return composed;
  if (!caption.empty()) composed += separator;
  return composed += tags;
}

std::string plain_caption(std::string_view composed) {
  return std::string(composed.substr(0, composed.find('\n')));
}

}  // namespace sdtune
