#include "hub/fetch_files.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "hub/blob_download.h"
#include "hub/hub_client.h"
#include "hub/repository.h"

namespace sdtune {
namespace {

constexpr int64_t kMegabyte = 1'000'000;

// Runs a task for each number up to `count` on a few threads. The first that fails stops the others
// and is thrown. `on_wait` is called ten times a second.
void for_each(int threads, size_t count, std::atomic<bool>& stop,
              const std::function<void(size_t)>& task, const std::function<void()>& on_wait) {
  ThreadPool pool(std::min<int>(threads, static_cast<int>(count)));
  std::vector<std::future<void>> futures;
  std::atomic<bool> has_failed = false;
  std::exception_ptr first;
  for (size_t i = 0; i < count; ++i) {
    futures.push_back(pool.submit([&, i] {
      try {
        if (!stop) task(i);
      } catch (...) {
        if (!has_failed.exchange(true)) first = std::current_exception();
        stop = true;
      }
    }));
  }
  for (std::future<void>& future : futures) {
    while (future.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) on_wait();
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace

void fetch_files(const HubSettings& settings, const HubCache& cache, const HubPlace& place,
                 const std::string& commit, const std::vector<std::string>& names) {
  if (names.empty()) return;
  for (const std::string& name : names) {
    if (is_safe_path(name)) continue;
    throw Error("the Hub names a file that would lie outside of the model's folder", place.repo,
                "do not use this repository");
  }
  cache.make_folders();
  std::atomic<bool> stop = false;
  std::vector<RemoteFile> files(names.size());
  const auto look = [&](size_t i) {
    HubClient client(settings, stop);
    files[i] = look_up(client, place, commit, names[i]);
  };
  for_each(settings.parallel_files, names.size(), stop, look, [] {});

  const uint64_t bytes =
      std::accumulate(files.begin(), files.end(), uint64_t{0},
                      [](uint64_t sum, const RemoteFile& file) { return sum + file.size; });
  // Large ones first: they take longest. Files of the same bytes are one blob, for one thread.
  std::map<std::pair<uint64_t, std::string>, std::vector<RemoteFile>, std::greater<>> by_bytes;
  for (const RemoteFile& file : files) by_bytes[{file.size, file.etag}].push_back(file);
  std::vector<std::vector<RemoteFile>> blobs;
  blobs.reserve(by_bytes.size());
  for (auto& [bytes_of, same] : by_bytes) blobs.push_back(std::move(same));
  std::atomic<int64_t> received = 0;
  Progress progress({.label = "fetching " + name_of(place),
                     .total = std::max<int64_t>(1, static_cast<int64_t>(bytes) / kMegabyte),
                     .unit = "MB"});
  const auto fetch = [&](size_t i) {
    HubClient client(settings, stop);
    for (const RemoteFile& wanted : blobs[i]) {
      const RemoteFile file = download_blob(client, cache, place, commit, wanted, received);
      cache.link(commit, file.name, file.etag);
    }
  };
  for_each(settings.parallel_files, blobs.size(), stop, fetch,
           [&] { progress.update(received / kMegabyte); });
  progress.update(received / kMegabyte);
}

}  // namespace sdtune
