// A fixed number of worker threads and a queue: for decoding images and other work beside the step.
// Not for arithmetic on tensors, which has torch's own threads.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <type_traits>
#include <vector>

namespace sdtune {

class ThreadPool {
 public:
  // At least one thread. `at_exit` runs on each worker as it ends (libvips frees thread data
  // there).
  explicit ThreadPool(int threads, std::function<void()> at_exit = {});
  ~ThreadPool();  // waits for the tasks under way; tasks still queued are dropped
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The future holds the task's result or exception.
  template <class F>
  auto submit(F task) -> std::future<std::invoke_result_t<F>> {
    auto packaged =
        std::make_shared<std::packaged_task<std::invoke_result_t<F>()>>(std::move(task));
    auto future = packaged->get_future();
    push([packaged] { (*packaged)(); });
    return future;
  }

 private:
  void push(std::function<void()> task);
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::queue<std::function<void()>> queue_;
  std::function<void()> at_exit_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sdtune
