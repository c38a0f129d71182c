// TensorBoard's event files, written natively: records of a protobuf message Event, each framed by
// its length and masked CRC-32C sums (TensorFlow's TFRecord format;
// tensorflow/core/util/event.proto and framework/summary.proto give the field numbers). Scalars and
// text, which is what runs log.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/files.h"

namespace sdtune {

struct Scalar {
  std::string tag;
  double value = 0;
};

class TensorBoardWriter {
 public:
  // Makes the folder and a new file in it, whose name ends in `suffix`. Error when it cannot.
  TensorBoardWriter(const std::filesystem::path& folder, const std::string& suffix);

  // Both Error when the disk is full or fails.
  void scalars(int64_t step, std::span<const Scalar> values);
  void text(const std::string& tag, const std::string& markdown);

 private:
  void write_event(const std::string& fields);

  std::unique_ptr<AppendFile> file_;
};

}  // namespace sdtune
