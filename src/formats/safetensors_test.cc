#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/safetensors_header.h"
#include "formats/test_files.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string file_of(std::string_view header, std::string_view data) {
  return little<uint64_t>(header.size()) + std::string(header) + std::string(data);
}

std::string open_refusal(std::string_view bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.safetensors", bytes);
  return refusal([&] { open_safetensors(path); });
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "x.safetensors",
      file_of(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"__metadata__":{"k":"v"},)"
              R"("a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}})",
              "wxyzAB"));
  const auto file = open_safetensors(path);
  EXPECT_EQ(file->path(), path);
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors()[0].name, "a");  // in the order of the data
  EXPECT_EQ(file->tensors()[0].dtype, DType::kF16);
  EXPECT_THAT(file->tensors()[0].shape, ElementsAre(1, 2));
  EXPECT_EQ(tensor_bytes(*file, "a"), "wxyz");
  EXPECT_EQ(tensor_bytes(*file, "b"), "AB");
  EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"k", "v"}}));
}

TEST(Safetensors, ReadsZeroSizesScalarsAndTrailingSpaces) {
  const TemporaryFolder folder;
  const auto file = open_safetensors(
      folder.write("x", file_of(R"({"e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},)"
                                R"("s":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)"
                                R"("f":{"dtype":"F32","shape":[0],"data_offsets":[1,1]}}      )",
                                "!")));
  EXPECT_EQ(tensor_bytes(*file, "e"), "");
  EXPECT_EQ(tensor_bytes(*file, "s"), "!");
  EXPECT_EQ(tensor_bytes(*file, "f"), "");
  EXPECT_TRUE(open_safetensors(folder.write("y", file_of("{}", "")))->tensors().empty());
}

TEST(Safetensors, ReadChecksNameAndSize) {
  const TemporaryFolder folder;
  const auto file = open_safetensors(
      folder.write("x", file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "ab")));
  std::byte bytes[4];
  const TensorInfo other{"b", DType::kU8, {2}};
  EXPECT_NE(refusal([&] { file->read(file->tensors()[0], std::span(bytes, 1)); }), "");
  EXPECT_NE(refusal([&] { file->read(other, std::span(bytes, 2)); }), "");
}

struct BadHeader {
  const char* name;
  std::string header;
  size_t data_bytes;
  const char* message;
};

class SafetensorsRefuses : public testing::TestWithParam<BadHeader> {};

TEST_P(SafetensorsRefuses, BadHeader) {
  const BadHeader& bad = GetParam();
  EXPECT_THAT(open_refusal(file_of(bad.header, std::string(bad.data_bytes, 'd'))),
              HasSubstr(bad.message));
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

const char* const kTwo =
    R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8",)";

const BadHeader kBadHeaders[] = {
    {"Empty", "", 0, "does not start with '{'"},
    {"LeadingSpace", " {}", 0, "does not start with '{'"},
    {"ByteOrderMark", "\xef\xbb\xbf{}", 0, "does not start with '{'"},
    {"List", "[]", 0, "does not start with '{'"},
    {"NotJson", "{x}", 0, "no valid UTF-8 JSON"},
    {"CutJson", R"({"a":{"dtype":)", 0, "no valid UTF-8 JSON"},
    {"TextAfterJson", "{} {}", 0, "no valid UTF-8 JSON"},
    {"NulAfterJson", std::string("{}\0", 3), 0, "no valid UTF-8 JSON"},
    {"NotUtf8", "{\"\xff\":{}}", 0, "no valid UTF-8 JSON"},
    {"LoneSurrogate", R"({"\ud800":{}})", 0, "no valid UTF-8 JSON"},
    {"HugeExponent", one(R"("U8")", "[1e999]", "[0,0]"), 0, "no valid UTF-8 JSON"},
    {"DuplicateTensor",
     R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
     R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
     0, "stands twice"},
    {"DuplicateEscapedTensor",
     R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
     R"("\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
     0, "stands twice"},
    {"DuplicateField", R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0,
     "stands twice"},
    {"DuplicateMetadata", R"({"__metadata__":{},"__metadata__":{}})", 0, "stands twice"},
    {"DuplicateMetadataKey", R"({"__metadata__":{"a":"1","a":"2"}})", 0, "stands twice"},
    {"MetadataNumber", R"({"__metadata__":{"a":1}})", 0, "holds a number"},
    {"MetadataNull", R"({"__metadata__":{"a":null}})", 0, "holds null"},
    {"MetadataObject", R"({"__metadata__":{"a":{}}})", 0, "holds an object"},
    {"MetadataText", R"({"__metadata__":"a"})", 0, "holds text"},
    {"TensorNumber", R"({"a":1})", 0, "holds a number"},
    {"TensorList", R"({"a":[]})", 0, "holds a list"},
    {"NoDtype", R"({"a":{"shape":[0],"data_offsets":[0,0]}})", 0, "lacks dtype"},
    {"NoShape", R"({"a":{"dtype":"U8","data_offsets":[0,0]}})", 0, "lacks dtype"},
    {"NoOffsets", R"({"a":{"dtype":"U8","shape":[0]}})", 0, "lacks dtype"},
    {"UnknownField", R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})", 0,
     "unknown field 'x'"},
    {"UnknownDtype", one(R"("F13")", "[0]", "[0,0]"), 0, "unknown dtype 'F13'"},
    {"DtypeNumber", one("1", "[0]", "[0,0]"), 0, "holds a number"},
    {"ShapeText", one(R"("U8")", R"("0")", "[0,0]"), 0, "holds text"},
    {"NegativeSize", one(R"("U8")", "[-1]", "[0,0]"), 0, "a negative number"},
    {"FractionalSize", one(R"("U8")", "[1.0]", "[0,1]"), 1, "no whole number"},
    {"SizeOver64Bits", one(R"("U8")", "[18446744073709551616]", "[0,0]"), 0, "no whole number"},
    {"SizeOver63Bits", one(R"("U8")", "[9223372036854775808]", "[0,0]"), 0, "63 bits"},
    {"ShapeOverflow", one(R"("U8")", "[4294967296,4294967296]", "[0,0]"), 0, "not the size"},
    {"BytesOverflow", one(R"("F64")", "[2305843009213693952]", "[0,0]"), 0, "not the size"},
    {"ManyDimensions", one(R"("U8")", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1,
     "dimensions"},
    {"NestedShape", one(R"("U8")", "[[1]]", "[0,1]"), 1, "holds a list"},
    {"DeepNesting", R"({"a":)" + std::string(1000000, '['), 0, "holds a list"},
    {"OneOffset", one(R"("U8")", "[0]", "[0]"), 0, "not two numbers"},
    {"ThreeOffsets", one(R"("U8")", "[0]", "[0,0,0]"), 0, "holds a number"},
    {"OffsetsReversed", one(R"("U8")", "[4]", "[4,0]"), 4, "not the size"},
    {"ShapeTooSmall", one(R"("F32")", "[1]", "[0,8]"), 8, "not the size"},
    {"ShapeTooLarge", one(R"("F32")", "[3]", "[0,8]"), 8, "not the size"},
    {"MissingBytes", one(R"("U8")", "[8]", "[0,8]"), 7, "but the file holds 7"},
    {"SurplusBytes", one(R"("U8")", "[8]", "[0,8]"), 9, "but the file holds 9"},
    {"DataWithoutTensors", "{}", 1, "but the file holds 1"},
    {"StartsLate", one(R"("U8")", "[4]", "[1,5]"), 5, "leaves a hole"},
    {"Hole", std::string("{") + kTwo + R"("shape":[3],"data_offsets":[5,8]}})", 8, "leaves a hole"},
    {"Overlap", std::string("{") + kTwo + R"("shape":[5],"data_offsets":[3,8]}})", 8, "overlaps"},
    {"PastTheEnd", std::string("{") + kTwo + R"("shape":[5],"data_offsets":[4,9]}})", 8,
     "but the file holds 8"},
};

INSTANTIATE_TEST_SUITE_P(All, SafetensorsRefuses, testing::ValuesIn(kBadHeaders),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST(Safetensors, RefusesLengthsThatLie) {
  EXPECT_THAT(open_refusal(""), HasSubstr("too short"));
  EXPECT_THAT(open_refusal("1234567"), HasSubstr("too short"));
  EXPECT_THAT(open_refusal(little<uint64_t>(3) + "{}"), HasSubstr("ends inside its header"));
  EXPECT_THAT(open_refusal(little<uint64_t>(kMaxSafetensorsHeader + 1) + "{}"),
              HasSubstr("claims a header"));
  EXPECT_THAT(open_refusal(little<uint64_t>(UINT64_MAX) + "{}"), HasSubstr("claims a header"));
  EXPECT_THAT(open_refusal(little<uint64_t>(1) + "{}"), HasSubstr("no valid UTF-8 JSON"));
}

TEST(Safetensors, RefusesTenTensorsOnOneRange) {
  std::string header = "{";
  for (int i = 0; i < 10; ++i) {
    header += fmt::format(R"("{}":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)", i);
  }
  header.back() = '}';
  EXPECT_THAT(open_refusal(file_of(header, "data")), HasSubstr("overlaps"));
}

std::string header_of_many(size_t count, const char* shape_and_offsets) {
  std::string header = "{";
  for (size_t i = 0; i < count; ++i) {
    header += '"' + std::to_string(i) + R"(":{"dtype":"U8",)" + shape_and_offsets + "},";
  }
  header.back() = '}';
  return header;
}

TEST(Safetensors, RefusesAHundredThousandOverlapsInTime) {
  const std::string header = header_of_many(100'000, R"("shape":[9],"data_offsets":[0,9])");
  EXPECT_LT(cpu_seconds([&] {
              EXPECT_THAT(refusal([&] { parse_safetensors_header(header, 9, "x"); }),
                          HasSubstr("overlaps"));
            }),
            kNotForEver);
}

TEST(Safetensors, RefusesMillionsOfTinyTensorsInTime) {
  const std::string header = header_of_many(1'500'000, R"("shape":[0],"data_offsets":[0,0])");
  EXPECT_LT(cpu_seconds([&] {
              EXPECT_THAT(refusal([&] { parse_safetensors_header(header, 0, "x"); }),
                          HasSubstr("lists more than"));
            }),
            kNotForEver);
  // Ten million take a header beyond the limit: refused by its length, before it is read.
  const TemporaryFolder folder;
  const auto path = folder.write("x", little<uint64_t>(550'000'000) + "{");
  std::filesystem::resize_file(path, 550'000'008);
  EXPECT_LT(cpu_seconds([&] { EXPECT_NE(refusal([&] { open_safetensors(path); }), ""); }),
            kNotForEver);
}

TEST(SafetensorsWriter, KeepsTheOrderAndAlignsTheData) {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  write_safetensors(path,
                    {tensor_of("z", DType::kU8, {3}, "abc"), tensor_of("a", DType::kF16, {1}, "de"),
                     tensor_of("m", DType::kF32, {0}, "")},
                    {{"y", "2"}, {"b", "quote \" line \n"}});
  const std::string bytes = file_bytes(path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  EXPECT_EQ((8 + header_bytes) % 64, 0u);
  EXPECT_EQ(bytes.substr(8 + header_bytes), "abcde");
  EXPECT_THAT(bytes.substr(8),
              testing::StartsWith(R"({"__metadata__":{"b":"quote \" line \n","y":"2"},)"
                                  R"("z":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"a":)"));
  const auto file = open_safetensors(path);
  EXPECT_EQ(file->tensors()[0].name, "z");
  EXPECT_EQ(file->metadata().at("b"), "quote \" line \n");
}

TEST(SafetensorsWriter, TakesPiecesInOrder) {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  const std::string whole = "0123456789";
  const auto in_pieces = [&](const ByteSink& sink) {
    const auto bytes = std::as_bytes(std::span(whole));
    sink(bytes.first(3));
    sink({});
    sink(bytes.subspan(3));
  };
  write_safetensors(path, {{{"t", DType::kU8, {10}}, in_pieces}});
  EXPECT_EQ(tensor_bytes(*open_safetensors(path), "t"), whole);
}

TEST(SafetensorsWriter, LeavesNothingWhenAProducerFails) {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  const auto attempt = [&](TensorToWrite tensor) {
    return refusal([&] { write_safetensors(path, {tensor}); });
  };
  EXPECT_THAT(attempt(tensor_of("t", DType::kU8, {4}, "abc")), HasSubstr("3 of its 4 bytes"));
  EXPECT_THAT(attempt(tensor_of("t", DType::kU8, {4}, "abcde")), HasSubstr("more than its 4"));
  EXPECT_THAT(attempt({{"t", DType::kU8, {4}}, [](const ByteSink&) { throw Error("disk gone"); }}),
              HasSubstr("disk gone"));
  EXPECT_EQ(folder.count(), 0u);
}

TEST(SafetensorsWriter, RefusesWhatItCouldNotReadBack) {
  const TemporaryFolder folder;
  const auto attempt = [&](std::vector<TensorToWrite> tensors,
                           std::map<std::string, std::string> metadata = {}) {
    return refusal([&] { write_safetensors(folder / "x", tensors, metadata); });
  };
  const auto named = [](const char* name) { return tensor_of(name, DType::kU8, {1}, "x"); };
  EXPECT_THAT(attempt({named("a"), named("a")}), HasSubstr("two tensors"));
  EXPECT_THAT(attempt({named("__metadata__")}), HasSubstr("__metadata__"));
  EXPECT_THAT(attempt({named("\xff")}), HasSubstr("not UTF-8"));
  EXPECT_THAT(attempt({}, {{"a", "\xc3"}}), HasSubstr("not UTF-8"));
  EXPECT_THAT(attempt({tensor_of("a", DType::kU8, {-1}, "")}), HasSubstr("shape"));
  EXPECT_THAT(attempt({}, {{"a", std::string(kMaxSafetensorsHeader, 'x')}}), HasSubstr("header"));
  EXPECT_EQ(folder.count(), 0u);
}

}  // namespace
}  // namespace sdtune
