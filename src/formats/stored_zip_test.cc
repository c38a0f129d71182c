#include "formats/stored_zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/stored_zip_writer.h"
#include "formats/test_archives.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

std::vector<ZipEntry> list(const std::string& archive) {
  return list_stored_zip(std::as_bytes(std::span(archive)), "x.ckpt");
}
uint64_t offset_of(const std::string& archive, const ZipEntry& entry) {
  return zip_entry_offset(std::as_bytes(std::span(archive)), entry, "x.ckpt");
}
std::string bytes_of(const std::string& archive, const ZipEntry& entry) {
  return archive.substr(offset_of(archive, entry), entry.size);
}
std::string list_refusal(const std::string& archive) {
  return refusal([&] {
    for (const ZipEntry& entry : list(archive)) offset_of(archive, entry);
  });
}

TEST(StoredZip, ListsEntries) {
  const std::string archive =
      zip_of({{"a/x", "hello"}, {"a/y", ""}, {.name = "a/z", .bytes = "w", .wide = true}});
  const auto entries = list(archive);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "a/x");
  EXPECT_EQ(bytes_of(archive, entries[0]), "hello");
  EXPECT_EQ(entries[0].crc, 0x3610a686u);
  EXPECT_EQ(entries[1].size, 0u);
  EXPECT_EQ(bytes_of(archive, entries[2]), "w");
}

TEST(StoredZip, ReadsDataDescriptors) {
  const std::string descriptor = "PK\7\b" + std::string(12, '\0');
  const auto with = [](std::string after, uint16_t flags) {
    return zip_of(
        {{.name = "a/x", .bytes = "hi", .flags = flags, .after = std::move(after)}, {"a/y", "w"}});
  };
  EXPECT_EQ(list(with(descriptor, 8)).size(), 2u);
  EXPECT_EQ(list(with(descriptor + std::string(8, '\0'), 8)).size(), 2u);
  EXPECT_EQ(list(with(std::string(12, '\0'), 8)).size(), 2u);
  EXPECT_THAT(list_refusal(with(descriptor, 0)), HasSubstr("belong to no entry"));
  EXPECT_THAT(list_refusal(with(std::string(16, '\0'), 8)), HasSubstr("belong to no entry"));
  EXPECT_THAT(list_refusal(with(std::string(400, 'h'), 8)), HasSubstr("belong to no entry"));
}

TEST(StoredZip, RefusesCompressionAndBombs) {
  EXPECT_THAT(list_refusal(zip_of({{.name = "a/x", .bytes = "data", .method = 8}})),
              HasSubstr("compressed"));
  EXPECT_THAT(list_refusal(zip_of({{.name = "a/x", .bytes = "data", .size_change = 1u << 30}})),
              HasSubstr("compressed"));
  EXPECT_THAT(list_refusal(zip_of({{.name = "a/x", .bytes = "data", .flags = 1}})),
              HasSubstr("encrypted"));
}

TEST(StoredZip, RefusesOverlapsAndDuplicates) {
  // The second entry points at the first one's header: both names share its bytes.
  const std::string first = "data";
  const int64_t back = -static_cast<int64_t>(30 + 3 + first.size());
  EXPECT_THAT(list_refusal(zip_of(
                  {{"a/x", first}, {.name = "a/x2", .bytes = first, .header_change = back}})),
              HasSubstr("overlaps"));
  EXPECT_THAT(
      list_refusal(zip_of({{"a/x", first}, {.name = "a/y", .bytes = first, .header_change = 5}})),
      testing::Not(""));
  EXPECT_THAT(list_refusal(zip_of({{"a/x", first}, {"a/x", first}})), HasSubstr("twice"));
}

TEST(StoredZip, RefusesPathsThatLeaveTheArchive) {
  for (const char* name : {"../x", "a/../../x", "/etc/passwd", "a//x", "a/./x", "a/x/", "a\\x",
                           "c:x", "a/x\n", "..", "."}) {
    EXPECT_THAT(list_refusal(zip_of({{name, "data"}})), HasSubstr("no plain relative path"))
        << name;
  }
  EXPECT_THAT(list_refusal(zip_of({{std::string("a\0b", 3), "data"}})), HasSubstr("relative path"));
  EXPECT_THAT(list_refusal(zip_of({{std::string(2000, 'a'), "data"}})), HasSubstr("relative path"));
  EXPECT_THAT(list_refusal(zip_of({{"", "data"}})), HasSubstr("relative path"));
}

TEST(StoredZip, RefusesTwoTruths) {
  EXPECT_THAT(list_refusal(zip_of({{.name = "a/x", .bytes = "data", .local_name = "a/y"}})),
              HasSubstr("two different things"));
  std::string archive = zip_of({{"a/x", "data"}});
  archive[18] = 3;  // the packed size in the local header
  EXPECT_THAT(list_refusal(archive), HasSubstr("two different things"));
}

TEST(StoredZip, RefusesPolyglotsAndDamage) {
  const std::string archive = zip_of({{"a/x", "data"}, {"a/y", "more"}});
  EXPECT_THAT(list_refusal("MZ" + archive), testing::Not(""));
  EXPECT_THAT(list_refusal(archive + "tail"), HasSubstr("end record"));
  EXPECT_THAT(list_refusal(archive + archive), testing::Not(""));
  EXPECT_THAT(list_refusal(""), HasSubstr("too short"));
  for (size_t length = 0; length < archive.size(); ++length) {
    EXPECT_NE(list_refusal(archive.substr(0, length)), "") << length;
  }
  // An archive comment could hide another end record.
  std::string commented = archive + "hidden";
  commented[archive.size() - 2] = 6;
  EXPECT_THAT(list_refusal(commented), HasSubstr("end record"));
}

TEST(StoredZip, RefusesADirectoryThatLies) {
  const std::string archive = zip_of({{"a/x", "data"}, {"a/y", "more"}});
  const size_t end = archive.size() - 22;
  const auto patched = [&](size_t at, std::string_view bytes) {
    std::string copy = archive;
    copy.replace(at, bytes.size(), bytes);
    return list_refusal(copy);
  };
  EXPECT_NE(patched(end + 8, std::string_view("\1\0\1\0", 4)), "");  // one entry fewer
  EXPECT_NE(patched(end + 8, std::string_view("\3\0\3\0", 4)), "");  // one more
  EXPECT_NE(patched(end + 8, "\xff\xff\xff\xff"), "");               // promises a zip64 record
  EXPECT_NE(patched(end + 12, "\x01"), "");                          // the directory's size
  EXPECT_NE(patched(end + 16, "\x01"), "");                          // the directory's offset
  EXPECT_NE(patched(end + 4, "\x01"), "");                           // the disk's number
}

TEST(StoredZip, ReadsNeitherBeyondNorForEverWhenBytesChange) {
  const std::string archive =
      zip_of({{.name = "a/x", .bytes = "data", .wide = true}, {"a/y", "more"}});
  for (size_t at = 0; at < archive.size(); ++at) {
    for (const int change : {1, 0x80, 0xff}) {
      std::string copy = archive;
      copy[at] = static_cast<char>(copy[at] ^ change);
      refusal([&] {
        for (const ZipEntry& entry : list(copy)) {
          ASSERT_LE(offset_of(copy, entry) + entry.size, copy.size()) << at;
        }
      });
    }
  }
}

TEST(StoredZipWriter, WritesAlignedEntriesThatReadBack) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "x.zip");
    StoredZipWriter zip(file);
    zip.add("a/first", "hello");
    zip.begin("a/second", 6);
    zip.append(std::as_bytes(std::span("abc", 3)));
    zip.append({});
    zip.append(std::as_bytes(std::span("def", 3)));
    zip.end();
    zip.add("a/empty", "");
    zip.finish();
    file.commit();
  }
  const std::string bytes = file_bytes(folder / "x.zip");
  const auto entries = list(bytes);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(bytes_of(bytes, entries[1]), "abcdef");
  for (const ZipEntry& entry : entries) {
    EXPECT_EQ(offset_of(bytes, entry) % 64, 0u);
    const std::string content = bytes_of(bytes, entry);
    EXPECT_EQ(entry.crc,
              crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
  }
}

}  // namespace
}  // namespace sdtune
