#include "data/dataset.h"

#include <algorithm>
#include <future>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "image/decode.h"
#include "text/caption.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeadersPerTask = 16;

struct Header {
  Size size;
  std::string reason;  // why there is none
};

std::vector<Header> read_headers(const Sample* first, size_t count) {
  std::vector<Header> headers(count);
  for (size_t i = 0; i < count; ++i) {
    try {
      headers[i].size = image_size(first[i].image);
    } catch (const Error& error) {
      headers[i].reason = error.what();
    }
  }
  return headers;
}

std::vector<Header> read_all_headers(const std::vector<Sample>& samples, int threads) {
  ThreadPool pool(threads, end_image_thread);
  std::vector<std::future<std::vector<Header>>> parts;
  for (size_t i = 0; i < samples.size(); i += kHeadersPerTask) {
    const size_t count = std::min(kHeadersPerTask, samples.size() - i);
    parts.push_back(
        pool.submit([first = &samples[i], count] { return read_headers(first, count); }));
  }
  Progress progress(
      {.label = "reading headers", .total = static_cast<int64_t>(samples.size()), .unit = "img"});
  std::vector<Header> headers;
  for (auto& part : parts) {
    for (Header& header : part.get()) headers.push_back(std::move(header));
    progress.update(static_cast<int64_t>(headers.size()));
  }
  return headers;
}

std::vector<Sample> list_samples(const DatasetOptions& options) {
  if (options.metadata_file.empty()) return read_plain_folder(options.image_dir);
  return read_metadata(options.metadata_file, options.image_dir);
}

[[noreturn]] void throw_empty(const DatasetOptions& options, size_t listed) {
  const bool is_plain = options.metadata_file.empty();
  const fs::path& place = is_plain ? options.image_dir : options.metadata_file;
  if (listed > 0) {
    throw Error(fmt::format("none of the {} pictures can be used", listed), place.string(),
                "the warnings above name each one and its fault");
  }
  throw Error(is_plain ? "the folder has no pictures" : "the metadata names no pictures",
              place.string(),
              is_plain ? "looked for .png .jpg .jpeg .webp .bmp .avif .jxl .gif .tif .tiff in the "
                         "folder itself, not in its sub-folders; correct --train_data_dir"
                       : "it should look like {\"picture\": {\"caption\": \"...\"}}");
}

// Without a resolution each picture goes to the bucket that its metadata was prepared for.
void check_train_resolutions(const DatasetOptions& options, const std::vector<Sample>& samples) {
  if (options.has_resolution) return;
  const std::string hint = "give --resolution, as --resolution 512,512";
  for (const Sample& sample : samples) {
    if (sample.train_resolution) continue;
    if (options.metadata_file.empty())
      throw UsageError("no resolution is given", "--resolution", hint);
    throw UsageError(
        fmt::format("no resolution is given, and the metadata has no train_resolution for "
                    "{}",
                    sample.image.string()),
        options.metadata_file.string(), hint);
  }
  if (options.buckets.no_upscale) {
    throw UsageError("buckets without upscaling cannot follow the metadata's train_resolution",
                     "--bucket_no_upscale", hint);
  }
}

void report_missing_captions(const std::vector<Item>& items) {
  const auto is_bare = [](const Item& item) { return item.caption.empty(); };
  const auto count = std::count_if(items.begin(), items.end(), is_bare);
  if (count == 0) return;
  const auto first = std::find_if(items.begin(), items.end(), is_bare);
  log_warning(
      "{} of {} pictures have neither caption nor tags and are trained with an empty caption; "
      "the first is {}",
      count, items.size(), first->image.string());
}

Item make_item(const Sample& sample, Size size, const Placement& placement,
               const DatasetOptions& options) {
  const std::string caption =
      compose_caption(sample.caption, sample.tags, options.caption_separator);
  return {sample.image, plain_caption(caption), size, placement, 0, options.repeats};
}

// Without a chooser every sample has its train_resolution.
Dataset place_samples(const std::vector<Sample>& samples, const std::vector<Header>& headers,
                      const std::optional<BucketChooser>& chooser, const DatasetOptions& options) {
  Dataset dataset;
  for (size_t i = 0; i < samples.size(); ++i) {
    const Sample& sample = samples[i];
    std::string reason = headers[i].reason;
    if (reason.empty()) {
      const Size size = headers[i].size;
      const auto placement = chooser ? chooser->place(size) : cover(size, *sample.train_resolution);
      if (placement) {
        dataset.items.push_back(make_item(sample, size, *placement, options));
        continue;
      }
      reason = fmt::format("{} x {} pixels are too thin or too small for any bucket", size.width,
                           size.height);
    }
    log_warning("skipped {}: {}", sample.image.string(), reason);
    dataset.skipped.push_back({sample.image, reason});
  }
  return dataset;
}

// Numbers the buckets in use, sorted, and says how the pictures spread over them.
void number_buckets(Dataset& dataset) {
  std::map<Size, int64_t> counts;
  for (const Item& item : dataset.items) ++counts[item.placement.bucket];
  std::map<Size, int64_t> numbers;
  for (const auto& [bucket, count] : counts) {
    numbers[bucket] = static_cast<int64_t>(dataset.buckets.size());
    dataset.buckets.push_back(bucket);
    log_info("bucket {} x {}: {} picture{}", bucket.width, bucket.height, count,
             count == 1 ? "" : "s");
  }
  for (Item& item : dataset.items) item.bucket = numbers[item.placement.bucket];
}

}  // namespace

int64_t Dataset::samples_per_epoch() const {
  int64_t count = 0;
  for (const Item& item : items) count += item.repeats;
  return count;
}

Dataset make_dataset(const DatasetOptions& options) {
  if (options.repeats < 1) {
    throw UsageError(
        fmt::format("each picture must be seen at least once, not {} times", options.repeats),
        "--dataset_repeats");
  }
  std::optional<BucketChooser> chooser;
  if (options.has_resolution) chooser.emplace(checked(options.buckets));
  const std::vector<Sample> samples = list_samples(options);
  if (samples.empty()) throw_empty(options, 0);
  check_train_resolutions(options, samples);
  const std::vector<Header> headers = read_all_headers(samples, options.threads);

  Dataset dataset = place_samples(samples, headers, chooser, options);
  if (dataset.items.empty()) throw_empty(options, samples.size());
  if (!dataset.skipped.empty()) {
    log_warning("{} of {} pictures are skipped", dataset.skipped.size(), samples.size());
  }
  report_missing_captions(dataset.items);
  number_buckets(dataset);
  return dataset;
}

}  // namespace sdtune
