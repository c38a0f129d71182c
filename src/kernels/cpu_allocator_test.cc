#include "kernels/cpu_allocator.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "base/system.h"
#include "kernels/memory_meter.h"

namespace sdtune {
namespace {

constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kLarge = 16 * kMegabyte;  // fp32 elements

// The rest of the tests run with torch's own allocator.
class KeptMemory : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    torchs_ = c10::GetCPUAllocator();
    use_kept_memory();
    ours_ = c10::GetCPUAllocator();
    c10::SetCPUAllocator(torchs_);
  }
  void SetUp() override { c10::SetCPUAllocator(ours_); }
  void TearDown() override { c10::SetCPUAllocator(torchs_); }

  static c10::Allocator* torchs_;
  static c10::Allocator* ours_;
};
c10::Allocator* KeptMemory::torchs_ = nullptr;
c10::Allocator* KeptMemory::ours_ = nullptr;

int64_t page_faults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST_F(KeptMemory, LargeTensorsTakeThePagesOfThoseBefore) {
  at::ones({kLarge});
  const int64_t before = page_faults();
  for (int i = 0; i < 3; ++i) at::ones({kLarge});
  EXPECT_LT(page_faults() - before, 16);
}

TEST_F(KeptMemory, GoesBackWhenItIsReleased) {
  at::Tensor kept = at::full({kMegabyte}, 3);
  at::ones({kLarge});
  const uint64_t before = resident_bytes();
  release_free_memory();
  EXPECT_LT(resident_bytes() + 2 * kLarge, before);
  EXPECT_EQ(kept.sum().item<double>(), 3.0 * kMegabyte);
}

TEST(KeptMemoryDeathTest, IsNotUsedWhereAddressesAreLimited) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // a process where it was not asked for yet
  const auto ask = [] {
    const rlimit limit = {rlim_t{1} << 45, rlim_t{1} << 45};
    ::setrlimit(RLIMIT_AS, &limit);
    const c10::Allocator* before = c10::GetCPUAllocator();
    use_kept_memory();
    std::_Exit(c10::GetCPUAllocator() == before ? 0 : 1);
  };
  EXPECT_EXIT(ask(), testing::ExitedWithCode(0), "");
}

TEST_F(KeptMemory, IsAlignedForVectors) {
  std::vector<at::Tensor> tensors;
  for (const int64_t size : {1, 1000, 300'001, 1'000'003}) {
    tensors.push_back(at::zeros({size}));
    EXPECT_EQ(reinterpret_cast<uint64_t>(tensors.back().data_ptr()) % 64, 0);
  }
}

TEST_F(KeptMemory, StoragesAreSharedGrownAndBorrowedAsBefore) {
  at::Tensor tensor = at::arange(kMegabyte);
  const at::Tensor view = tensor.slice(0, kMegabyte - 4);
  tensor.resize_({2 * kMegabyte});
  EXPECT_EQ(tensor[kMegabyte - 1].item<int64_t>(), kMegabyte - 1);
  tensor.reset();
  EXPECT_EQ(view.sum().item<int64_t>(), 4 * kMegabyte - 10);

  std::vector<float> own(kMegabyte, 2);
  at::from_blob(own.data(), {kMegabyte}).add_(1);
  EXPECT_EQ(own[5], 3);
}

TEST_F(KeptMemory, TensorsOfTheOtherAllocatorAreFreedByIt) {
  c10::SetCPUAllocator(torchs_);
  at::Tensor theirs = at::ones({kMegabyte});
  c10::SetCPUAllocator(ours_);
  at::Tensor mine = at::ones({kMegabyte});
  c10::SetCPUAllocator(torchs_);
  theirs.resize_({2 * kMegabyte});
  mine.resize_({2 * kMegabyte});
  EXPECT_EQ((mine.slice(0, 0, kMegabyte) + theirs.slice(0, 0, kMegabyte)).sum().item<double>(),
            2.0 * kMegabyte);
}

TEST_F(KeptMemory, LibrariesMayAskForRawMemory) {
  for (const size_t size : {size_t{100}, size_t{3} << 20}) {
    void* raw = ours_->raw_allocate(size);
    ASSERT_NE(raw, nullptr);
    ours_->raw_deallocate(raw);
  }
  EXPECT_EQ(ours_->raw_allocate(0), nullptr);
}

TEST_F(KeptMemory, SaysWhatItCannotGive) {
  try {
    at::empty({int64_t{1} << 50}, at::kByte);
    FAIL();
  } catch (const c10::Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("can't allocate memory"), std::string::npos) << what;
    EXPECT_NE(what.find("1125899906842624"), std::string::npos) << what;
  }
}

TEST_F(KeptMemory, IsReportedToTorchsProfiler) {
  const auto meter = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard metered(c10::DebugInfoKind::PROFILER_STATE, meter);
  {
    const at::Tensor small = at::empty({100}, at::kByte);
    const at::Tensor large = at::empty({3 * kMegabyte}, at::kByte);
    EXPECT_EQ(meter->now(), 100 + 3 * kMegabyte);
  }
  EXPECT_EQ(meter->now(), 0);
}

TEST_F(KeptMemory, ServesSeveralThreads) {
  std::vector<std::thread> threads;
  std::vector<double> sums(4);
  for (size_t t = 0; t < sums.size(); ++t) {
    threads.emplace_back([&sums, t] {
      at::Tensor last = at::full({kMegabyte}, static_cast<double>(t));
      for (int i = 0; i < 50; ++i) last = last + at::zeros({kMegabyte + i}).slice(0, 0, kMegabyte);
      sums[t] = last.sum().item<double>();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < sums.size(); ++t) {
    EXPECT_EQ(sums[t], static_cast<double>(t) * kMegabyte);
  }
}

}  // namespace
}  // namespace sdtune
