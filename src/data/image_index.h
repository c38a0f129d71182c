// What is remembered of files between runs: the sizes of pictures and the texts beside them, so
// that a second start on a hundred thousand pictures opens none of them. Only an accelerator in an
// SQLite file: whatever is wrong with it, the program warns once and goes on without. Not a cache
// of pixels or latents.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "image/image.h"

namespace sdtune {

// What tells whether a file is still the one that was looked at.
struct FileStamp {
  int64_t bytes = 0;
  int64_t mtime_ns = 0;  // since 1970
  // False when the file changed less than two seconds before it was stamped, or in the future: it
  // may change again without its stamp changing, so nothing is recorded of it (git's rule for
  // "racily clean" files).
  bool settled = true;
};

struct FileFacts {
  Size size;         // of the upright picture
  std::string hash;  // of the file, as hash_file() gives it; empty: not known
};

// The stamp of a regular file (links are followed), to be taken before the file is opened; none
// when there is no such file.
std::optional<FileStamp> stamp_of(const std::filesystem::path& path);

// The rows of one database. Any thread may call find() and put(). Paths are taken as they are
// given: give absolute ones.
class ImageIndex {
 public:
  // Opens or makes the database and its parent folders. An empty path: nothing is kept. A database
  // that is damaged or of another version of this program is renamed to "<name>.unusable"; a
  // database of another program is left alone. `patience`: how long to wait for a turn when other
  // processes use it.
  explicit ImageIndex(const std::filesystem::path& database,
                      std::chrono::milliseconds patience = std::chrono::seconds(5));
  ~ImageIndex();
  ImageIndex(const ImageIndex&) = delete;
  ImageIndex& operator=(const ImageIndex&) = delete;

  // Reads all rows of files anywhere under `folder` into memory; find() knows only these and those
  // put since.
  void load(const std::filesystem::path& folder);

  // None unless the file is known with this very stamp.
  std::optional<FileFacts> find(const std::filesystem::path& path, const FileStamp& stamp) const;
  std::optional<std::string> find_text(const std::filesystem::path& path,
                                       const FileStamp& stamp) const;

  // Kept in memory until commit(). Unsettled files and texts over 1 MB are not recorded.
  void put(const std::filesystem::path& path, const FileStamp& stamp, const FileFacts& facts);
  void put_text(const std::filesystem::path& path, const FileStamp& stamp, const std::string& text);

  // Writes what was put since the last commit(), in one transaction. Several processes may do so at
  // once; one that does not get its turn goes without.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Where the index of a folder of pictures lies when nobody says otherwise:
// $XDG_CACHE_HOME/sdtune/<hash of the folder's path>.sqlite, or under ~/.cache. Empty when there is
// no home. Makes nothing.
std::filesystem::path default_index_file(const std::filesystem::path& folder);

}  // namespace sdtune
