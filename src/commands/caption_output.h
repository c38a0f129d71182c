// Where captions go: a text file beside each picture, or one metadata file for all. Either can be
// cut short at any moment, and the next run finds what there is; several processes may share one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sdtune {

struct CaptionedPicture {
  std::filesystem::path picture;
  std::string key;         // in metadata
  bool captioned = false;  // by the metadata that named it
};

class CaptionOutput {
 public:
  virtual ~CaptionOutput() = default;
  virtual bool has(const CaptionedPicture& picture) const = 0;
  virtual void keep(const CaptionedPicture& picture, const std::string& caption) = 0;
  virtual void fail(const CaptionedPicture& picture, const std::string& reason) = 0;
  // When the run is at its end. False while other processes, or a run to come, have more to add.
  virtual bool finish(const std::vector<CaptionedPicture>& pictures) = 0;
};

// `<name><extension>`, replaced when it is whole. has() is about such a file that is not empty.
std::unique_ptr<CaptionOutput> caption_files(const std::string& extension);
std::filesystem::path caption_file(const std::filesystem::path& picture,
                                   const std::string& extension);

// What the words are called, in metadata and to the user.
struct WordsField {
  std::string name = "caption";
  std::string title = "captions";
  bool with_size = false;  // "image_size" beside it: the picture's [width, height]
};

struct CaptionMetadata {
  std::filesystem::path output;
  std::optional<std::filesystem::path> start;  // whose entries are kept; else what `output` holds
  bool overwrite = false;                      // captions of `start` and `output` do not count
  WordsField field;
};

// Captions are added line by line to `<output>.captions.jsonl` (its title), which all processes
// share. The one that finds it complete writes `output` from it, in the order of the pictures, and
// removes it.
std::unique_ptr<CaptionOutput> caption_metadata(const CaptionMetadata& options);

}  // namespace sdtune
