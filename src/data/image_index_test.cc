#include "data/image_index.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "base/files.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr FileStamp kStamp{.bytes = 1234, .mtime_ns = 1'700'000'000'123'456'789};
const FileFacts kFacts{{640, 480}, "0123456789abcdef0123456789abcdef"};

std::string stderr_of(const std::function<void()>& call) {
  testing::internal::CaptureStderr();
  call();
  return testing::internal::GetCapturedStderr();
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Runs SQL on a database as another program would.
void execute(const fs::path& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

class ImageIndexTest : public testing::Test {
 protected:
  // Writes one row, as a first run does.
  void fill(const std::string& picture = "/pics/a.png") const {
    ImageIndex index(path_);
    index.put(picture, kStamp, kFacts);
    index.commit();
  }

  void fill_many() const {
    ImageIndex index(path_);
    for (int i = 0; i < 3000; ++i) index.put(fmt::format("/pics/{}.png", i), kStamp, kFacts);
    index.commit();
  }

  bool knows(const std::string& picture, const std::string& folder = "/pics") const {
    ImageIndex index(path_);
    index.load(folder);
    return index.find(picture, kStamp).has_value();
  }

  // The index works now and for the next run, with one warning in all.
  void expect_new_start(const std::string& warning) const {
    const std::string log = stderr_of([&] {
      ImageIndex index(path_);
      index.load("/pics");
      EXPECT_FALSE(index.find("/pics/a.png", kStamp));
      index.put("/pics/b.png", kStamp, kFacts);
      index.commit();
    });
    EXPECT_THAT(log, HasSubstr(warning));
    EXPECT_EQ(count_of(log, " W "), 1u) << log;
    EXPECT_THAT(stderr_of([&] { EXPECT_TRUE(knows("/pics/b.png")); }), IsEmpty());
    EXPECT_TRUE(fs::exists(path_.string() + ".unusable"));
  }

  TestFolder folder_;
  fs::path path_ = folder_ / "cache/deep/index.sqlite";
};

TEST_F(ImageIndexTest, FactsAndTextsAreThereInTheNextRun) {
  {
    ImageIndex index(path_);
    index.put("/pics/a.png", kStamp, kFacts);
    index.put("/pics/sub/b.png", kStamp, {{8, 9}, ""});
    index.put_text("/pics/a.txt", kStamp, std::string("one\0two", 7));
    index.put_text("/pics/b.txt", kStamp, "");
    index.commit();
  }
  ImageIndex index(path_);
  EXPECT_FALSE(index.find("/pics/a.png", kStamp));  // not loaded yet
  index.load("/pics");
  const auto facts = index.find("/pics/a.png", kStamp);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->size, (Size{640, 480}));
  EXPECT_EQ(facts->hash, kFacts.hash);
  ASSERT_TRUE(index.find("/pics/sub/b.png", kStamp));
  EXPECT_EQ(index.find("/pics/sub/b.png", kStamp)->hash, "");
  EXPECT_EQ(index.find_text("/pics/a.txt", kStamp), std::string("one\0two", 7));
  EXPECT_EQ(index.find_text("/pics/b.txt", kStamp), "");
  EXPECT_FALSE(index.find_text("/pics/a.png", kStamp));
  EXPECT_FALSE(index.find("/pics/a.txt", kStamp));
}

TEST_F(ImageIndexTest, AChangedFileIsNotKnown) {
  fill();
  ImageIndex index(path_);
  index.load("/pics/");
  EXPECT_TRUE(index.find("/pics/a.png", kStamp));
  EXPECT_FALSE(index.find("/pics/a.png", {.bytes = 1235, .mtime_ns = kStamp.mtime_ns}));
  EXPECT_FALSE(index.find("/pics/a.png", {.bytes = 1234, .mtime_ns = kStamp.mtime_ns + 1}));
  EXPECT_FALSE(index.find("/pics/b.png", kStamp));

  const FileStamp later{.bytes = 99, .mtime_ns = kStamp.mtime_ns + 5};
  index.put("/pics/a.png", later, {{1, 2}, ""});
  index.commit();
  EXPECT_EQ(index.find("/pics/a.png", later)->size, (Size{1, 2}));
  EXPECT_FALSE(knows("/pics/a.png"));
}

TEST_F(ImageIndexTest, OnlyTheFoldersFilesAreLoadedWhateverTheirNames) {
  fill("/pics/\xff\xfe.png");
  fill("/pics/é/x.png");
  fill("/pics2/a.png");
  fill("/pics.png");
  EXPECT_TRUE(knows("/pics/\xff\xfe.png"));
  EXPECT_TRUE(knows("/pics/é/x.png"));
  EXPECT_FALSE(knows("/pics2/a.png"));
  EXPECT_FALSE(knows("/pics.png"));
  EXPECT_TRUE(knows("/pics.png", "/"));
  EXPECT_TRUE(knows("/pics2/a.png", "/"));
}

TEST_F(ImageIndexTest, WhatIsNotCommittedIsForThisRunOnly) {
  ImageIndex index(path_);
  index.put("/pics/a.png", kStamp, kFacts);
  EXPECT_TRUE(index.find("/pics/a.png", kStamp));
  EXPECT_FALSE(knows("/pics/a.png"));
}

TEST_F(ImageIndexTest, FilesThatMayStillChangeAreNotRecorded) {
  ImageIndex index(path_);
  index.put("/pics/a.png", {.bytes = 1, .mtime_ns = 2, .settled = false}, kFacts);
  index.put_text("/pics/a.txt", {.bytes = 1, .mtime_ns = 2, .settled = false}, "text");
  EXPECT_FALSE(index.find("/pics/a.png", {.bytes = 1, .mtime_ns = 2}));
  EXPECT_FALSE(index.find_text("/pics/a.txt", {.bytes = 1, .mtime_ns = 2}));
}

TEST_F(ImageIndexTest, StampsTellSizeTimeAndWhetherTheFileIsSettled) {
  folder_.write("a.png", "12345");
  const fs::path file = folder_ / "a.png";
  EXPECT_FALSE(stamp_of(file)->settled);
  const auto time = [&](auto ago) {
    fs::last_write_time(file, fs::file_time_type::clock::now() - ago);
  };
  time(seconds(1));
  EXPECT_FALSE(stamp_of(file)->settled);
  time(seconds(-100));
  EXPECT_FALSE(stamp_of(file)->settled);
  time(seconds(3));
  const auto stamp = stamp_of(file);
  EXPECT_TRUE(stamp->settled);
  EXPECT_EQ(stamp->bytes, 5);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_NEAR(static_cast<double>(stamp->mtime_ns) * 1e-9,
              std::chrono::duration<double>(now).count() - 3, 2);
  time(seconds(3) - std::chrono::nanoseconds(1'000'000));
  EXPECT_NE(stamp_of(file)->mtime_ns, stamp->mtime_ns);
  EXPECT_FALSE(stamp_of(folder_ / "none"));
  EXPECT_FALSE(stamp_of(folder_.path()));
}

TEST_F(ImageIndexTest, WithoutADatabaseOnlyThisRunIsKnown) {
  const std::string log = stderr_of([] {
    ImageIndex index("");
    index.load("/pics");
    index.put("/pics/a.png", kStamp, kFacts);
    index.commit();
    EXPECT_TRUE(index.find("/pics/a.png", kStamp));
  });
  EXPECT_THAT(log, IsEmpty());
}

TEST_F(ImageIndexTest, APlaceThatCannotBeIsWarnedOfOnce) {
  folder_.write("file", "x");
  const std::string log = stderr_of([&] {
    ImageIndex index(folder_ / "file/index.sqlite");
    index.load("/pics");
    index.put("/pics/a.png", kStamp, kFacts);
    index.commit();
    EXPECT_TRUE(index.find("/pics/a.png", kStamp));
  });
  EXPECT_EQ(count_of(log, " W "), 1u) << log;
}

TEST_F(ImageIndexTest, AFileThatIsNoDatabaseIsMovedAway) {
  folder_.write("cache/deep/index.sqlite", "no database at all " + std::string(4000, 'x'));
  folder_.write("cache/deep/index.sqlite-journal", std::string(2000, 'y'));
  expect_new_start("begins anew");
}

TEST_F(ImageIndexTest, ADamagedDatabaseIsMovedAway) {
  fill_many();
  std::string bytes = read_file(path_);
  ASSERT_GT(bytes.size(), 100'000u);
  for (size_t at = 4096; at + 64 < bytes.size(); at += 4096) bytes.replace(at, 64, 64, '\xff');
  write_file(path_, bytes);
  expect_new_start("begins anew");
}

TEST_F(ImageIndexTest, ACutOffDatabaseIsMovedAway) {
  fill_many();
  fs::resize_file(path_, fs::file_size(path_) / 2);
  expect_new_start("begins anew");
}

TEST_F(ImageIndexTest, AnotherVersionsDatabaseIsMovedAway) {
  fill();
  execute(path_, "ALTER TABLE files ADD COLUMN author TEXT");
  expect_new_start("another version");
}

TEST_F(ImageIndexTest, AnotherProgramsDatabaseIsLeftAlone) {
  fs::create_directories(path_.parent_path());
  execute(path_, "CREATE TABLE bookmarks(url TEXT); INSERT INTO bookmarks VALUES('x')");
  const std::string before = read_file(path_);
  const std::string log = stderr_of([&] { fill(); });
  EXPECT_THAT(log, HasSubstr("stays as it is"));
  EXPECT_EQ(read_file(path_), before);
  EXPECT_FALSE(fs::exists(path_.string() + ".unusable"));
}

TEST_F(ImageIndexTest, RowsThatCannotBeAreNotBelieved) {
  fill();
  execute(path_, "UPDATE files SET width = -5");
  EXPECT_FALSE(knows("/pics/a.png"));
  execute(path_, "UPDATE files SET width = 'wide', hash = x'ff00'");
  EXPECT_FALSE(knows("/pics/a.png"));
}

TEST_F(ImageIndexTest, ALockedDatabaseIsWaitedForAndThenDoneWithout) {
  fill();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  const std::string log = stderr_of([&] {
    ImageIndex index(path_, milliseconds(50));
    index.load("/pics");
    EXPECT_FALSE(index.find("/pics/a.png", kStamp));
    index.put("/pics/b.png", kStamp, kFacts);
    index.commit();
  });
  EXPECT_THAT(log, AllOf(HasSubstr("locked"), Not(HasSubstr("anew"))));
  EXPECT_EQ(count_of(log, " W "), 1u) << log;

  std::thread release([&] {
    std::this_thread::sleep_for(milliseconds(100));
    sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr);
  });
  EXPECT_THAT(stderr_of([&] { EXPECT_TRUE(knows("/pics/a.png")); }), IsEmpty());
  release.join();
  sqlite3_close(other);
}

TEST_F(ImageIndexTest, SeveralWritersLoseNothing) {
  constexpr int kWriters = 4, kRounds = 5;
  const std::string log = stderr_of([&] {
    std::vector<std::thread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([&, w] {
        for (int i = 0; i < kRounds; ++i) fill(fmt::format("/pics/{}-{}.png", w, i));
      });
    }
    for (std::thread& writer : writers) writer.join();
  });
  EXPECT_THAT(log, IsEmpty());
  for (int w = 0; w < kWriters; ++w) {
    for (int i = 0; i < kRounds; ++i) {
      EXPECT_TRUE(knows(fmt::format("/pics/{}-{}.png", w, i))) << w << " " << i;
    }
  }
}

TEST_F(ImageIndexTest, AReadOnlyDatabaseIsReadAndNotWritten) {
  fill();
  fs::permissions(path_, fs::perms::owner_read);
  fs::permissions(path_.parent_path(), fs::perms::owner_read | fs::perms::owner_exec);
  const bool may_write_anyway = std::ofstream(path_, std::ios::app).is_open();
  const std::string log = stderr_of([&] {
    ImageIndex index(path_);
    index.load("/pics");
    EXPECT_TRUE(index.find("/pics/a.png", kStamp));
    index.put("/pics/b.png", kStamp, kFacts);
    index.commit();
    EXPECT_TRUE(index.find("/pics/b.png", kStamp));
  });
  fs::permissions(path_.parent_path(), fs::perms::owner_all);
  if (may_write_anyway) GTEST_SKIP() << "permissions do not bind this user";
  EXPECT_THAT(log, HasSubstr("readonly"));
  EXPECT_EQ(count_of(log, " W "), 1u) << log;
  EXPECT_FALSE(knows("/pics/b.png"));
}

TEST(ImageIndexProperty, WhateverTheFileHoldsIsNoError) {
  const TestFolder folder;
  const fs::path path = folder / "index.sqlite";
  {
    ImageIndex index(path);
    for (int i = 0; i < 100; ++i) index.put(fmt::format("/pics/{}.png", i), kStamp, kFacts);
    index.put_text("/pics/a.txt", kStamp, "text");
    index.commit();
  }
  const std::string whole = read_file(path);
  testing::internal::CaptureStderr();  // most cases warn
  const bool held = rc::check([&] {
    std::string bytes = whole;
    for (int edits = *rc::gen::inRange(1, 20); edits > 0; --edits) {
      const size_t page = *rc::gen::inRange<size_t>(0, bytes.size() / 4096);
      bytes[page * 4096 + *rc::gen::inRange<size_t>(0, 128)] = *rc::gen::arbitrary<char>();
    }
    bytes.resize(*rc::gen::element(bytes.size(), bytes.size() - 4096, bytes.size() - 1));
    folder.write("index.sqlite", bytes);
    ImageIndex index(path);
    index.load("/pics");
    index.put("/pics/new.png", kStamp, kFacts);
    index.commit();
    RC_ASSERT(index.find("/pics/new.png", kStamp).has_value());
  });
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(held) << log;
}

// Sets variables of the environment and puts them back.
class Environment {
 public:
  Environment(const std::string& name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name.c_str())) old_ = old;
    set(value);
  }
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) const {
    if (value) {
      ::setenv(name_.c_str(), value, 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }
  std::string name_;
  std::optional<std::string> old_;
};

TEST(DefaultIndexFile, LiesInTheCacheUnderTheFoldersHash) {
  const Environment cache("XDG_CACHE_HOME", "/c");
  const fs::path file = default_index_file("/pics/a");
  EXPECT_EQ(file.parent_path(), "/c/sdtune");
  EXPECT_EQ(file.extension(), ".sqlite");
  EXPECT_EQ(file.stem().string().size(), 32u);
  EXPECT_EQ(default_index_file("/pics/./a/"), file);
  EXPECT_EQ(default_index_file("/pics/b/../a"), file);
  EXPECT_NE(default_index_file("/pics/b"), file);
  EXPECT_EQ(default_index_file("here"), default_index_file(fs::absolute("here")));
}

TEST(DefaultIndexFile, FallsBackToHomeAndToNone) {
  const Environment cache("XDG_CACHE_HOME", "not/absolute");
  {
    const Environment home("HOME", "/h");
    EXPECT_EQ(default_index_file("/p").parent_path(), "/h/.cache/sdtune");
  }
  const Environment home("HOME", nullptr);
  EXPECT_EQ(default_index_file("/p"), "");
}

// Not part of the suite: how long a first and a second start take with many pictures.
TEST(ImageIndexSpeed, DISABLED_AHundredThousandPictures) {
  const TestFolder folder;
  const auto timed = [](const char* what, const std::function<void()>& call) {
    const auto begin = std::chrono::steady_clock::now();
    call();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    fmt::print("{}: {:.3f} s\n", what, taken.count());
  };
  const auto name = [](int i) {
    return fmt::format("/data/pictures/set/part{}/image_{:06}", i % 7, i);
  };
  {
    ImageIndex index(folder / "index.sqlite");
    timed("put", [&] {
      for (int i = 0; i < 100'000; ++i) {
        index.put(name(i) + ".png", kStamp, kFacts);
        index.put_text(name(i) + ".txt", kStamp, "1girl, solo, looking at viewer, " + name(i));
      }
    });
    timed("commit", [&] { index.commit(); });
  }
  fmt::print("{} bytes\n", fs::file_size(folder / "index.sqlite"));
  ImageIndex index(folder / "index.sqlite");
  timed("load", [&] { index.load("/data/pictures"); });
  timed("find", [&] {
    for (int i = 0; i < 100'000; ++i) {
      ASSERT_TRUE(index.find(name(i) + ".png", kStamp));
      ASSERT_TRUE(index.find_text(name(i) + ".txt", kStamp));
    }
  });
}

}  // namespace
}  // namespace sdtune
