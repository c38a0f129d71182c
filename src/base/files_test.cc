#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rapidcheck/gtest.h>
#include <csignal>
#include <cstring>

#include "base/error.h"

namespace sdtune {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Files : public testing::Test {
 protected:
  Files()
      : folder_(fs::temp_directory_path() /
                fmt::format("sdtune-files-{}-{}", ::getpid(),
                            testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }

  void make_old(const std::string& name) {
    fs::last_write_time(folder_ / name,
                        fs::file_time_type::clock::now() - std::chrono::minutes(61));
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  fs::path folder_;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string patterned(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 2654435761u >> 11);
  return text;
}

// Runs `action` where it cannot harm this process; true when it threw an Error with `part` in its
// text or hint.
template <class Action>
bool child_throws(const std::string& part, Action action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
    } catch (const Error& error) {
      const std::string text = std::string(error.what()) + error.where() + error.hint();
      ::_exit(text.find(part) != std::string::npos ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void become_nobody() {
  if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(3);
}

TEST_F(Files, ReadsWhatWasWritten) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65536}, size_t{65537}, size_t{3 << 20}}) {
    const std::string text = patterned(size);
    write_file(folder_ / "a", text);
    EXPECT_EQ(read_file(folder_ / "a"), text);
  }
}

TEST_F(Files, ReadKeepsItsLimit) {
  write_file(folder_ / "a", std::string(100000, 'x'));
  EXPECT_EQ(read_file(folder_ / "a", 100000).size(), 100000u);
  try {
    read_file(folder_ / "a", 99999);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("99999"));
    EXPECT_EQ(error.where(), (folder_ / "a").string());
  }
  EXPECT_THROW(read_file("/dev/zero", 1 << 20), Error) << "an endless file";
}

TEST_F(Files, ReadNamesWhatItCannotRead) {
  try {
    read_file(folder_ / "missing");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
    EXPECT_EQ(error.where(), (folder_ / "missing").string());
  }
  EXPECT_THROW(read_file(folder_), Error) << "a folder";
}

TEST_F(Files, AnAtomicFileTakesItsNameOnlyWhenCommitted) {
  write_file(folder_ / "a", "old");
  AtomicFile file(folder_ / "a");
  file.write("new");
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_EQ(names().size(), 2u);
  file.commit();
  EXPECT_EQ(read_file(folder_ / "a"), "new");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(Files, AnAtomicFileLeavesNothingWithoutACommit) {
  write_file(folder_ / "a", "old");
  try {
    AtomicFile file(folder_ / "a");
    file.write(std::string(5 << 20, 'x'));
    throw std::runtime_error("something else failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
  EXPECT_EQ(read_file(folder_ / "a"), "old");
}

TEST_F(Files, AnAtomicFileThatCannotTakeItsNameLeavesNothing) {
  fs::create_directories(folder_ / "taken" / "by");
  {
    AtomicFile file(folder_ / "taken");
    file.write("x");
    EXPECT_THROW(file.commit(), Error);
  }
  EXPECT_EQ(names(), std::vector<std::string>{"taken"});
}

// A process that dies while it writes leaves the old file whole.
TEST_F(Files, AKilledWriterLeavesTheOldFile) {
  write_file(folder_ / "a", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder_ / "a");
    file.write(std::string(5 << 20, 'x'));
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  ASSERT_EQ(names().size(), 2u);
  remove_stale_temporaries(folder_);
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

RC_GTEST_FIXTURE_PROP(Files, PiecesAndPatchesLandWhereTheyBelong, ()) {
  const auto pieces =
      *rc::gen::container<std::vector<std::string>>(rc::gen::arbitrary<std::string>());
  std::string expected;
  AtomicFile file(folder_ / "a");
  for (const std::string& piece : pieces) {
    file.write(piece);
    expected += piece;
    RC_ASSERT(file.size() == expected.size());
  }
  if (!expected.empty()) {
    const auto at = *rc::gen::inRange<size_t>(0, expected.size());
    const std::string patch(*rc::gen::inRange<size_t>(0, expected.size() - at + 1), '#');
    file.write_at(at, bytes_of(patch));
    expected.replace(at, patch.size(), patch);
  }
  file.write("tail");
  file.commit();
  RC_ASSERT(read_file(folder_ / "a") == expected + "tail");
}

TEST_F(Files, LargeWritesKeepTheirOrderAmongSmallOnes) {
  const std::string large = patterned((4 << 20) + 3);
  AtomicFile file(folder_ / "a");
  file.write("head");
  file.write(large);
  file.write("tail");
  file.write_at(0, bytes_of("HEAD"));
  file.commit();
  EXPECT_EQ(read_file(folder_ / "a"), "HEAD" + large + "tail");
}

TEST_F(Files, AFullDiskIsSaidAndLeavesTheOldFile) {
  write_file(folder_ / "a", "old");
  EXPECT_TRUE(child_throws((folder_ / "a").string(), [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    write_file(folder_ / "a", std::string(3 << 20, 'x'));
  }));
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(Files, AFullDiskStopsAnAppendWithAHint) {
  AppendFile file("/dev/full");
  try {
    file.append("{}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("No space left"));
    EXPECT_EQ(error.where(), "/dev/full");
    EXPECT_THAT(error.hint(), HasSubstr("free some space"));
  }
}

TEST_F(Files, AnUnwritableFolderIsNamedAtOnce) {
  ::chmod(folder_.c_str(), 0555);
  EXPECT_TRUE(child_throws("check the permissions", [&] {
    become_nobody();
    make_writable_folder(folder_);
  }));
  EXPECT_TRUE(child_throws("check the permissions", [&] {
    become_nobody();
    write_file(folder_ / "a", "x");
  }));
  ::chmod(folder_.c_str(), 0755);
  write_file(folder_ / "file", "x");
  EXPECT_THROW(make_writable_folder(folder_ / "file"), Error);
  EXPECT_THROW(make_writable_folder(folder_ / "file" / "below"), Error);
}

TEST_F(Files, AWritableFolderIsMadeWithItsParentsAndLeftEmpty) {
  make_writable_folder(folder_ / "a" / "b");
  make_writable_folder(folder_ / "a" / "b");
  EXPECT_TRUE(fs::is_empty(folder_ / "a" / "b"));
}

TEST_F(Files, AppendsWholeLines) {
  {
    AppendFile file(folder_ / "events.jsonl");
    file.append("{\"step\":1}");
    file.append("{\"step\":2}", /*sync=*/true);
  }
  AppendFile file(folder_ / "events.jsonl");
  file.append("");
  EXPECT_EQ(read_file(folder_ / "events.jsonl"), "{\"step\":1}\n{\"step\":2}\n\n");
}

TEST_F(Files, LinesOfTwoAppendersDoNotMix) {
  const std::string line(3000, 'a');
  const pid_t child = ::fork();
  {
    AppendFile file(folder_ / "log");
    for (int i = 0; i < 200; ++i) file.append(child == 0 ? std::string(3000, 'b') : line);
  }
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const std::string text = read_file(folder_ / "log");
  ASSERT_EQ(text.size(), 400u * 3001);
  for (size_t at = 0; at < text.size(); at += 3001) {
    const char letter = text[at];
    ASSERT_EQ(text.substr(at, 3001), std::string(3000, letter) + '\n');
  }
}

TEST_F(Files, ALineAfterOneThatWasCutShortStandsAlone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    AppendFile file(folder_ / "events");
    file.append("one");
    rlimit limit = {6, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    bool failed = false;
    try {
      file.append("second");
    } catch (const Error&) {
      failed = true;
    }
    limit = {100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    file.append("third");
    ::_exit(failed ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder_ / "events"), "one\nse\nthird\n");
}

TEST_F(Files, ALockIsHeldByOneAndLetGoAtTheEnd) {
  const fs::path path = folder_ / "lock";
  EXPECT_FALSE(FileLock::is_held(path));
  {
    const FileLock lock(path);
    EXPECT_TRUE(FileLock::is_held(path));
    EXPECT_THROW(FileLock{path}, Error);
  }
  EXPECT_FALSE(FileLock::is_held(path));
  const FileLock again(path);
  EXPECT_TRUE(FileLock::is_held(path));
}

TEST_F(Files, MapsAFile) {
  const std::string text = patterned(100001);
  write_file(folder_ / "a", text);
  MappedFile file(folder_ / "a");
  EXPECT_EQ(file.path(), folder_ / "a");
  ASSERT_EQ(file.bytes().size(), text.size());
  EXPECT_EQ(std::memcmp(file.bytes().data(), text.data(), text.size()), 0);
  const MappedFile moved = std::move(file);
  EXPECT_EQ(std::memcmp(moved.bytes().data(), text.data(), text.size()), 0);
  std::string part(5000, '\0');
  moved.read(4090, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, text.substr(4090, 5000));
}

TEST_F(Files, MapsAnEmptyFileAndRefusesOthers) {
  write_file(folder_ / "a", "");
  EXPECT_THAT(MappedFile(folder_ / "a").bytes(), IsEmpty());
  EXPECT_THROW(MappedFile(folder_ / "missing"), Error);
  EXPECT_THROW(MappedFile{folder_}, Error);
  EXPECT_THROW(MappedFile("/dev/zero"), Error);
}

TEST_F(Files, AMappedReadStaysInside) {
  write_file(folder_ / "a", "0123456789");
  const MappedFile file(folder_ / "a");
  std::string part(4, '\0');
  const auto out = std::as_writable_bytes(std::span(part));
  EXPECT_THROW(file.read(7, out), Error);
  EXPECT_THROW(file.read(11, out.first(0)), Error);
  EXPECT_THROW(file.read(~0ull - 1, out), Error);
  file.read(6, out);
  EXPECT_EQ(part, "6789");
  file.read(10, out.first(0));
}

// Pages of this process's mapping, from /proc: mincore would answer for the page cache.
uint64_t resident_bytes_of_mapping(const void* begin) {
  const std::string maps = read_file("/proc/self/smaps");
  const std::string head = fmt::format("{:x}-", reinterpret_cast<uintptr_t>(begin));
  const size_t entry = maps.find("\n" + head);
  const size_t field = maps.find("Rss:", entry);
  return std::stoull(maps.substr(field + 4)) * 1024;
}

TEST_F(Files, AMappedReadLeavesThePagesToTheKernel) {
  const size_t size = 40 << 20;
  const std::string text = patterned(size);
  write_file(folder_ / "a", text);
  const MappedFile file(folder_ / "a");
  std::vector<std::byte> piece(size);
  file.read(0, piece);
  EXPECT_EQ(std::memcmp(piece.data(), text.data(), size), 0);
  EXPECT_LT(resident_bytes_of_mapping(file.bytes().data()), 1u << 20);
  // The control: reading through bytes() keeps them, so the measure above measures something.
  EXPECT_EQ(std::memcmp(file.bytes().data(), text.data(), size), 0);
  EXPECT_GT(resident_bytes_of_mapping(file.bytes().data()), size / 2);
}

TEST_F(Files, RemovesOnlyLeftoversOfProcessesThatAreGone) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const std::string own = temporary_name(folder_ / "model.safetensors").filename().string();
  const std::string of_same_number = temporary_name(folder_ / "state").filename().string();
  const std::string here = own.substr(own.rfind('-') - 8, 8);
  const auto name_of = [](pid_t pid, const std::string& place, int number) {
    return fmt::format(".model.safetensors.tmp-{}-{}-{}", pid, place, number);
  };
  const std::string stale = name_of(child, here, 0), stale_folder = name_of(child, here, 1);
  const std::string of_parent = name_of(::getppid(), here, 2);
  const std::string of_another_machine = name_of(child, "0badcafe", 3);
  const std::string left_by_another_machine = name_of(child, "0badcafe", 4);
  for (const std::string& name :
       {stale, own, of_same_number, of_parent, of_another_machine, left_by_another_machine,
        std::string("a.tmp-1"), std::string(".keep")}) {
    write_file(folder_ / name, "x");
  }
  fs::create_directories(folder_ / stale_folder);
  write_file(folder_ / stale_folder / "inside", "x");
  for (const std::string& name : {of_same_number, of_parent, left_by_another_machine}) {
    make_old(name);
  }
  remove_stale_temporaries(folder_);
  std::vector<std::string> expected = {own, of_parent, of_another_machine, "a.tmp-1", ".keep"};
  EXPECT_THAT(names(), testing::UnorderedElementsAreArray(expected));
  remove_stale_temporaries(folder_ / "missing");
}

TEST_F(Files, TemporaryNamesDifferAndStayInTheFolder) {
  const fs::path first = temporary_name(folder_ / "a");
  const fs::path second = temporary_name(folder_ / "a");
  EXPECT_NE(first, second);
  EXPECT_EQ(first.parent_path(), folder_);
  EXPECT_EQ(first.filename().string().front(), '.');
}

TEST_F(Files, TheLongestNamesCanBeWritten) {
  const std::string name = "a" + std::string(254, 'x');
  write_file(folder_ / name, "x");
  std::string two_bytes_each = "a";
  for (int i = 0; i < 127; ++i) two_bytes_each += "\xc3\xa9";
  write_file(folder_ / two_bytes_each, "x");
  EXPECT_THAT(names(), testing::UnorderedElementsAre(name, two_bytes_each));
  const std::string part = temporary_name(folder_ / two_bytes_each).filename().string();
  EXPECT_THAT(part, HasSubstr("\xa9.tmp-")) << "no character is cut";
  EXPECT_NE(temporary_name(folder_ / name), temporary_name(folder_ / (name.substr(1) + "y")));
}

TEST_F(Files, RenamesFilesAndFolders) {
  write_file(folder_ / "a", "x");
  rename_durably(folder_ / "a", folder_ / "b");
  fs::create_directory(folder_ / "c");
  rename_durably(folder_ / "c", folder_ / "d");
  EXPECT_EQ(names(), (std::vector<std::string>{"b", "d"}));
  EXPECT_THROW(rename_durably(folder_ / "missing", folder_ / "e"), Error);
}

TEST_F(Files, AFileInTheWorkingFolderNeedsNoSlash) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file("bare", "x");
  EXPECT_EQ(read_file("bare"), "x");
  sync_folder("");
  EXPECT_GT(free_bytes(""), 0u);
  fs::current_path(before);
}

TEST_F(Files, FreeSpaceIsThatOfTheFolder) {
  EXPECT_GT(free_bytes(folder_), 0u);
  EXPECT_THROW(free_bytes(folder_ / "missing"), Error);
}

}  // namespace
}  // namespace sdtune
