#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>

namespace sdtune {
namespace {

using namespace std::chrono_literals;

TEST(ThreadPool, GivesEachTaskItsResult) {
  ThreadPool pool(3);
  std::vector<std::future<int>> results;
  for (int i = 0; i < 200; ++i) results.push_back(pool.submit([i] { return i * i; }));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(results[i].get(), i * i);
}

TEST(ThreadPool, RunsTasksAtTheSameTime) {
  ThreadPool pool(2);
  std::promise<void> first_runs, second_runs;
  // Each task waits for the other, which one thread could never satisfy.
  auto first = pool.submit([&] {
    first_runs.set_value();
    return second_runs.get_future().wait_for(10s) == std::future_status::ready;
  });
  auto second = pool.submit([&] {
    second_runs.set_value();
    return first_runs.get_future().wait_for(10s) == std::future_status::ready;
  });
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
}

TEST(ThreadPool, OneThreadKeepsTheOrder) {
  ThreadPool pool(1);
  std::vector<int> order;
  std::future<void> last;
  for (int i = 0; i < 50; ++i) last = pool.submit([&order, i] { order.push_back(i); });
  last.get();
  std::vector<int> expected(50);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
}

TEST(ThreadPool, HandsExceptionsToTheFutureAndGoesOn) {
  ThreadPool pool(1);
  auto bad = pool.submit([]() -> int { throw std::runtime_error("broken picture"); });
  auto good = pool.submit([] { return 1; });
  EXPECT_THROW(bad.get(), std::runtime_error);
  EXPECT_EQ(good.get(), 1);
}

TEST(ThreadPool, EachWorkerSaysGoodbye) {
  std::atomic<int> goodbyes = 0;
  {
    ThreadPool pool(4, [&] { ++goodbyes; });
    pool.submit([] {}).get();
    EXPECT_EQ(goodbyes, 0);
  }
  EXPECT_EQ(goodbyes, 4);
}

TEST(ThreadPool, HasAtLeastOneThread) {
  ThreadPool pool(0);
  EXPECT_EQ(pool.submit([] { return 5; }).get(), 5);
}

TEST(ThreadPool, DroppedTasksBreakTheirPromise) {
  std::future<void> queued;
  std::atomic<bool> finished = false;
  std::promise<void> started;
  {
    ThreadPool pool(1);
    pool.submit([&] {
      started.set_value();
      std::this_thread::sleep_for(100ms);
      finished = true;
    });
    queued = pool.submit([] {});
    started.get_future().wait();
  }
  EXPECT_TRUE(finished) << "the task under way was not waited for";
  EXPECT_THROW(queued.get(), std::future_error);
}

}  // namespace
}  // namespace sdtune
