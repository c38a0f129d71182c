// A captioner over many pictures: decoded ahead of it on threads, in batches, with a progress line.
// It knows no model and no place for captions: it is handed both. Which pictures there are is the
// caller's too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/rank.h"
#include "image/image.h"

namespace sdtune {

struct CaptionWork {
  std::filesystem::path picture;
  bool done = false;  // it has its caption already
};

// A picture on its way to the captioner.
struct ReadyPicture {
  Image image;          // as `prepare` made it
  uint64_t number = 0;  // stands for the picture's bytes
};

struct Captioner {
  std::function<Image(const Image&)> prepare;  // runs on several threads
  std::function<std::vector<std::string>(std::span<const ReadyPicture>)> write;  // one for each
};

struct CaptionRunOptions {
  int64_t batch_size = 1;
  int threads = 1;
  Rank rank;
  std::string label = "captions";  // of the progress line
};

struct CaptionReport {
  int64_t captioned = 0;
  int64_t done_before = 0;  // of this process's share
  int64_t failed = 0;
};

// What becomes of the pictures, by their place in `work`; both run on the calling thread.
struct CaptionSink {
  std::function<void(size_t place, const std::string& caption)> keep;
  std::function<void(size_t place, const std::string& reason)> fail;  // it cannot be read
};

// Batches are runs of `work` as it stands, every world_size-th of them this process's. One in which
// all are done is left out; any other is written whole, and captions that were there are not kept
// again: so a run that was cut short, one of several processes and one straight through have the
// same batches and write the same captions. Ends early, after a batch, on a stop signal. Throws
// what the functions throw.
CaptionReport caption_pictures(const std::vector<CaptionWork>& work, const Captioner& captioner,
                               const CaptionRunOptions& options, const CaptionSink& sink);

}  // namespace sdtune
