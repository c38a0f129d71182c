#include "annotate/caption_run.h"

#include <algorithm>
#include <deque>
#include <future>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/system.h"
#include "base/thread_pool.h"
#include "image/decode.h"

namespace sdtune {
namespace {

struct Batch {
  size_t begin = 0;
  size_t end = 0;
};

class CaptionPass {
 public:
  CaptionPass(const std::vector<CaptionWork>& work, const Captioner& captioner,
              const CaptionRunOptions& options, const CaptionSink& sink)
      : work_(work),
        captioner_(captioner),
        options_(options),
        sink_(sink),
        pool_(options.threads, end_image_thread) {}

  CaptionReport run() {
    const std::vector<Batch> batches = open_batches();
    const size_t ahead = 2 + static_cast<size_t>(options_.threads / options_.batch_size);
    Progress progress({.label = options_.label, .total = total_, .unit = "img"});
    size_t started = 0;
    for (size_t i = 0; i < batches.size() && stop_signal() == 0; ++i) {
      for (; started < std::min(batches.size(), i + 1 + ahead); ++started) start(batches[started]);
      finish(batches[i]);
      progress.update(report_.captioned + report_.failed);
    }
    return report_;
  }

 private:
  // This process's batches that hold something to do.
  std::vector<Batch> open_batches() {
    std::vector<Batch> batches;
    const auto size = static_cast<size_t>(options_.batch_size);
    const auto mine = static_cast<size_t>(options_.rank.rank);
    const auto processes = static_cast<size_t>(options_.rank.world_size);
    for (size_t begin = mine * size; begin < work_.size(); begin += processes * size) {
      const Batch batch{begin, std::min(begin + size, work_.size())};
      const auto first = work_.begin() + static_cast<ptrdiff_t>(batch.begin);
      const auto last = work_.begin() + static_cast<ptrdiff_t>(batch.end);
      const auto done = std::count_if(first, last, [](const auto& one) { return one.done; });
      report_.done_before += done;
      const auto left = static_cast<int64_t>(batch.end - batch.begin) - done;
      total_ += left;
      if (left > 0) batches.push_back(batch);
    }
    return batches;
  }

  void start(const Batch& batch) {
    auto& futures = loading_.emplace_back();
    for (size_t place = batch.begin; place < batch.end; ++place) {
      futures.push_back(pool_.submit([this, place] { return load(work_[place].picture); }));
    }
  }

  ReadyPicture load(const fs::path& picture) const {
    return {captioner_.prepare(decode_image(picture)), hash_number(hash_file(picture))};
  }

  void finish(const Batch& batch) {
    std::vector<ReadyPicture> ready;
    std::vector<size_t> places;
    auto futures = std::move(loading_.front());
    loading_.pop_front();
    for (size_t i = 0; i < futures.size(); ++i) {
      try {
        ready.push_back(futures[i].get());
        places.push_back(batch.begin + i);
      } catch (const Error& error) {
        fail(batch.begin + i, error.what());
      }
    }
    if (ready.empty()) return;
    const std::vector<std::string> captions = captioner_.write(ready);
    for (size_t i = 0; i < places.size(); ++i) {
      if (work_[places[i]].done) continue;
      sink_.keep(places[i], captions.at(i));
      ++report_.captioned;
    }
  }

  void fail(size_t place, const std::string& reason) {
    if (work_[place].done) return;
    log_warning("skipped {}: {}", work_[place].picture.string(), reason);
    sink_.fail(place, reason);
    ++report_.failed;
  }

  const std::vector<CaptionWork>& work_;
  const Captioner& captioner_;
  const CaptionRunOptions& options_;
  const CaptionSink& sink_;
  CaptionReport report_;
  int64_t total_ = 0;
  std::deque<std::vector<std::future<ReadyPicture>>> loading_;
  ThreadPool pool_;  // last: its threads end before what they use goes away
};

}  // namespace

CaptionReport caption_pictures(const std::vector<CaptionWork>& work, const Captioner& captioner,
                               const CaptionRunOptions& options, const CaptionSink& sink) {
  return CaptionPass(work, captioner, options, sink).run();
}

}  // namespace sdtune
