#include "hub/hub_cache.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace sdtune {
namespace {

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

class HubCacheTest : public testing::Test {
 protected:
  void SetUp() override { root_ = temporary_name(fs::path(testing::TempDir()) / "hub_cache"); }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_;
};

TEST_F(HubCacheTest, LaysFilesOutAsHuggingfaceHubDoes) {
  const HubCache cache(root_, {"org/name", "refs/pr/1"});
  cache.make_folders();
  write_file(cache.blob("abc"), "bytes");
  cache.link(kCommit, "unet/config.json", "abc");
  cache.remember("refs/pr/1", kCommit);

  const fs::path folder = root_ / "models--org--name";
  const fs::path pointer = folder / "snapshots" / kCommit / "unet/config.json";
  EXPECT_EQ(fs::read_symlink(pointer), "../../../blobs/abc");
  EXPECT_EQ(read_file(pointer), "bytes");
  EXPECT_EQ(read_file(folder / "refs/refs/pr/1"), kCommit);
  EXPECT_EQ(cache.lock("abc"), root_ / ".locks/models--org--name/abc.lock");
  EXPECT_EQ(cache.commit_of("refs/pr/1"), kCommit);
  EXPECT_EQ(cache.commit_of("main"), std::nullopt);
  EXPECT_EQ(cache.commit_of(kCommit), kCommit);
}

TEST_F(HubCacheTest, NamesWithoutBytesAreNotThere) {
  const HubCache cache(root_, {"org/name"});
  cache.make_folders();
  write_file(cache.blob("abc"), "bytes");
  cache.link(kCommit, "a.json", "abc");
  cache.link(kCommit, "folder/b.json", "gone");
  EXPECT_EQ(cache.files(kCommit), std::vector<std::string>{"a.json"});
  EXPECT_TRUE(cache.has(kCommit, "a.json"));
  EXPECT_FALSE(cache.has(kCommit, "folder/b.json"));
  EXPECT_TRUE(HubCache(root_, {"org/other"}).files(kCommit).empty());
  cache.link(kCommit, "folder/b.json", "abc");  // in place of the broken one
  EXPECT_TRUE(cache.has(kCommit, "folder/b.json"));
}

TEST_F(HubCacheTest, ARefThatIsNoCommitCountsForNothing) {
  const HubCache cache(root_, {"org/name", "main", "", "dataset"});
  fs::create_directories(root_ / "datasets--org--name/refs");
  write_file(root_ / "datasets--org--name/refs/main", "../../elsewhere");
  EXPECT_EQ(cache.commit_of("main"), std::nullopt);
}

}  // namespace
}  // namespace sdtune
