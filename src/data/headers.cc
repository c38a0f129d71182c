#include "data/headers.h"

#include <algorithm>
#include <future>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "image/decode.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeadersPerTask = 64;

fs::path key_of(const fs::path& picture) { return fs::absolute(picture).lexically_normal(); }

Header read_header(const fs::path& picture, ImageIndex& index) {
  const fs::path key = key_of(picture);
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
  {
    ThreadPool pool(threads, end_image_thread);
    std::vector<std::future<void>> tasks;
    for (size_t begin = 0; begin < pictures.size(); begin += kHeadersPerTask) {
      tasks.push_back(pool.submit([&, begin] {
        const size_t end = std::min(begin + kHeadersPerTask, pictures.size());
        for (size_t i = begin; i < end; ++i) headers[i] = read_header(pictures[i], index);
      }));
    }
    Progress progress({.label = "reading headers",
                       .total = static_cast<int64_t>(pictures.size()),
                       .unit = "img"});
    for (size_t i = 0; i < tasks.size(); ++i) {
      tasks[i].get();
      progress.update(static_cast<int64_t>(std::min(pictures.size(), (i + 1) * kHeadersPerTask)));
    }
  }
  index.commit();
  return headers;
}

std::string picture_hash(const fs::path& picture, Size size, ImageIndex& index) {
  const fs::path key = key_of(picture);
  const auto stamp = stamp_of(key);
  if (stamp) {
    const auto facts = index.find(key, *stamp);
    if (facts && !facts->hash.empty()) return facts->hash;
  }
  std::string hash = hash_file(picture);
  if (stamp) index.put(key, *stamp, {size, hash});
  return hash;
}

}  // namespace sdtune
