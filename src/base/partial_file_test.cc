#include "base/partial_file.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

class PartialFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary_name(fs::path(testing::TempDir()) / "partial_file");
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static void append(PartialFile& file, std::string_view text) {
    file.append(std::as_bytes(std::span(text)));
  }

  fs::path folder_;
};

TEST_F(PartialFileTest, GoesOnWhereAnEarlierOneEnded) {
  const fs::path partial = folder_ / "a.incomplete", target = folder_ / "a";
  {
    PartialFile file(partial);
    append(file, "first ");
  }
  EXPECT_FALSE(fs::exists(target));
  PartialFile file(partial);
  EXPECT_EQ(file.size(), 6u);
  append(file, "second");
  file.commit(target);
  EXPECT_EQ(read_file(target), "first second");
  EXPECT_FALSE(fs::exists(partial));
}

TEST_F(PartialFileTest, ClearStartsAnew) {
  PartialFile file(folder_ / "a.incomplete");
  append(file, "wrong bytes");
  file.clear();
  append(file, "right");
  EXPECT_EQ(file.size(), 5u);
  file.commit(folder_ / "a");
  EXPECT_EQ(read_file(folder_ / "a"), "right");
}

TEST_F(PartialFileTest, ReaderStopsAtTheEnd) {
  write_file(folder_ / "a", "0123456789");
  const FileReader reader(folder_ / "a");
  std::string piece(8, ' ');
  EXPECT_EQ(reader.read(4, std::as_writable_bytes(std::span(piece))), 6u);
  EXPECT_EQ(piece, "456789  ");
  EXPECT_EQ(reader.size(), 10u);
  EXPECT_THROW(FileReader(folder_ / "none"), Error);
}

TEST_F(PartialFileTest, ALockWaitsForTheOneBefore) {
  std::atomic<bool> waits = false, released = false;
  auto first = std::make_unique<WaitingLock>(folder_ / "lock", [] { FAIL() << "nobody holds it"; });
  std::thread second([&] {
    const WaitingLock lock(folder_ / "lock", [&] { waits = true; });
    EXPECT_TRUE(released);
  });
  while (!waits) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  released = true;
  first.reset();
  second.join();
}

}  // namespace
}  // namespace sdtune
