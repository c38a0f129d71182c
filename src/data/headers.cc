#include "data/headers.h"

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "data/picture_work.h"
#include "image/decode.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

Header read_header(const fs::path& picture, ImageIndex& index) {
  const fs::path key = absolute_path(picture);
  const auto stamp = stamp_of(key);
  if (stamp) {
    if (const auto facts = index.find(key, *stamp)) return {facts->size, ""};
  }
  try {
    const Header header{image_size(picture), ""};
    if (stamp) index.put(key, *stamp, {header.size, ""});
    return header;
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

}  // namespace

std::vector<Header> read_headers(const std::vector<fs::path>& pictures, int threads,
                                 ImageIndex& index) {
  std::vector<Header> headers(pictures.size());
  for_each_picture(pictures.size(), {.label = "reading headers", .threads = threads},
                   [&](size_t i) { headers[i] = read_header(pictures[i], index); });
  index.commit();
  return headers;
}

std::string picture_hash(const fs::path& picture, ImageIndex& index) {
  const fs::path key = absolute_path(picture);
  const auto stamp = stamp_of(key);
  const auto facts = stamp ? index.find(key, *stamp) : std::nullopt;
  if (facts && !facts->hash.empty()) return facts->hash;
  std::string hash = hash_file(picture);
  // A picture that has changed since its header was read is not spoken of: nobody knows its size.
  if (facts) index.put(key, *stamp, {facts->size, hash});
  return hash;
}

}  // namespace sdtune
