#include "data/picture_work.h"

#include <algorithm>
#include <future>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "image/decode.h"

namespace sdtune {

void for_each_picture(size_t count, const WorkOptions& options,
                      const std::function<void(size_t)>& work) {
  ThreadPool pool(options.threads, end_image_thread);
  std::vector<std::future<void>> tasks;
  for (size_t begin = 0; begin < count; begin += options.chunk) {
    tasks.push_back(pool.submit([&, begin] {
      const size_t end = std::min(begin + options.chunk, count);
      for (size_t i = begin; i < end; ++i) work(i);
    }));
  }
  Progress progress({.label = options.label, .total = static_cast<int64_t>(count), .unit = "img"});
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].get();
    progress.update(static_cast<int64_t>(std::min(count, (i + 1) * options.chunk)));
  }
}

}  // namespace sdtune
