#include "annotate/tag_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

class TagList : public testing::Test {
 protected:
  template <class Read>
  std::vector<std::string> read(Read reader, const std::string& bytes) {
    folder_.write("list", bytes);
    std::vector<std::string> found;
    for (const Tag& tag : reader(folder_ / "list")) {
      found.push_back(std::to_string(static_cast<int>(tag.kind)) + tag.name);
    }
    return found;
  }

  template <class Read>
  std::string error(Read reader, const std::string& bytes) {
    try {
      read(reader, bytes);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  }

  TestFolder folder_;
};

TEST_F(TagList, SelectedTags) {
  EXPECT_THAT(read(read_selected_tags,
                   "\xEF\xBB\xBFtag_id,name,category,count\r\n9,general,9,1\r\n1,1girl,0,2\n2,\"a,"
                   "\"\"b\"\"\""
                   ",0,3\n3,x_(y),4,4\n4,series,3,5\n5,who,1,6\n6,highres,5,7\n"),
              testing::ElementsAre("0general", "11girl", "1a,\"b\"", "2x_(y)", "3series", "4who",
                                   "5highres"));
  EXPECT_THAT(read(read_selected_tags, "tag_id,name,category\r\n1,a,0\r\n"),
              testing::ElementsAre("1a"));
}

TEST_F(TagList, SelectedTagsThatAreNone) {
  EXPECT_THAT(error(read_selected_tags, ""), HasSubstr("tag_id,name,category"));
  EXPECT_THAT(error(read_selected_tags, "name,category\na,0\n"), HasSubstr("tag_id"));
  const std::string head = "tag_id,name,category,count\n";
  EXPECT_THAT(error(read_selected_tags, head), HasSubstr("empty"));
  EXPECT_THAT(error(read_selected_tags, head + "1,a,0,1\n2,b,8,1\n"), HasSubstr("line 3"));
  EXPECT_THAT(error(read_selected_tags, head + "1,,0,1\n"), HasSubstr("line 2"));
  EXPECT_THAT(error(read_selected_tags, head + "1\n"), HasSubstr("line 2"));
  EXPECT_THAT(error(read_selected_tags, head + "1,\xFF,0,1\n"), HasSubstr("UTF-8"));
}

TEST_F(TagList, MappingByNumber) {
  EXPECT_THAT(
      read(read_tag_mapping,
           R"({"10": {"tag": "k", "category": "Quality"}, "1": {"tag": "b\"", "category":
                   "General"}, "0": {"tag": "a", "category": "Rating"},)"
           R"("2":{"tag":"c","category":"Meta"},"3":{"tag":"d","category":"Model"},)"
           R"("4":{"tag":"e","category":"Artist"},"5":{"tag":"f","category":"Copyright"},)"
           R"("6":{"tag":"g","category":"Character"},"7":{"tag":"h","category":"Meta"},)"
           R"("8":{"tag":"i","category":"Meta"},"9":{"tag":"j","category":"Meta"}})"),
      testing::ElementsAre("0a", "1b\"", "5c", "6d", "4e", "3f", "2g", "5h", "5i", "5j", "7k"));
}

TEST_F(TagList, MappingsThatAreNone) {
  EXPECT_THAT(error(read_tag_mapping, "[1]"), HasSubstr("JSON object"));
  EXPECT_THAT(error(read_tag_mapping, "{"), HasSubstr("JSON object"));
  EXPECT_THAT(error(read_tag_mapping, "{}"), HasSubstr("empty"));
  for (const char* entry :
       {R"("1":{"tag":"a","category":"General"})", R"("0":{"tag":"a"})",
        R"("0":{"tag":3,"category":"General"})", R"("0":4)",
        R"("x":{"tag":"a","category":"General"})", R"("-1":{"tag":"a","category":"General"})",
        R"("0":{"tag":"a","category":"Hats"})"}) {
    EXPECT_THAT(error(read_tag_mapping, fmt::format("{{{}}}", entry)), HasSubstr("entry")) << entry;
  }
  EXPECT_THAT(error(read_tag_mapping, R"({"0":{"tag":"a","category":"General"},)"
                                      R"("00":{"tag":"b","category":"General"}})"),
              HasSubstr("entry"));
}

TEST_F(TagList, DeepDanboorusLines) {
  EXPECT_THAT(read(read_danbooru_tags, "1girl\n :d \r\nrating:safe\n"),
              testing::ElementsAre("11girl", "1:d", "0rating:safe"));
  EXPECT_THAT(error(read_danbooru_tags, "a\n\nb\n"), HasSubstr("line 2"));
  EXPECT_THAT(error(read_danbooru_tags, ""), HasSubstr("empty"));
}

}  // namespace
}  // namespace sdtune
