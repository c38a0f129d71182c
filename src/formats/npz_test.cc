#include "formats/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <cmath>

#include "formats/npy_header.h"
#include "formats/test_archives.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string npy(const std::string& dictionary, const std::string& values, char version = 1) {
  std::string text = dictionary + "\n";
  const std::string length =
      version == 1 ? little<uint16_t>(text.size()) : little<uint32_t>(text.size());
  return "\x93NUMPY" + std::string(1, version) + std::string(1, '\0') + length + text + values;
}

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

constexpr const char* kTwoFloats = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";

// As numpy 2 writes it: real sizes in the directory, but in the entry's own header only in a zip64
// field.
std::string numpy_archive(const std::string& name, const std::string& content) {
  const auto crc = static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
  const auto number = [](uint64_t value) { return little<uint32_t>(value); };
  const std::string facts = little<uint16_t>(0) + little<uint16_t>(0) + little<uint16_t>(0) +
                            little<uint16_t>(0x21) + number(crc);
  const std::string sizes = number(content.size()) + number(content.size());
  const std::string wide = little<uint16_t>(1) + little<uint16_t>(16) +
                           little<uint64_t>(content.size()) + little<uint64_t>(content.size());
  const std::string local = "PK\3\4" + little<uint16_t>(45) + facts + number(UINT32_MAX) +
                            number(UINT32_MAX) + little<uint16_t>(name.size()) +
                            little<uint16_t>(wide.size()) + name + wide + content;
  const std::string directory = "PK\1\2" + little<uint16_t>(0x32d) + little<uint16_t>(45) + facts +
                                sizes + little<uint16_t>(name.size()) + std::string(8, '\0') +
                                number(0x1800000) + number(0) + name;
  return local + directory + "PK\5\6" + number(0) + little<uint16_t>(1) + little<uint16_t>(1) +
         number(directory.size()) + number(local.size()) + little<uint16_t>(0);
}

class Npz : public testing::Test {
 protected:
  std::vector<NpyArray> read(const std::string& bytes) {
    return read_npz(folder_.write("x.npz", bytes));
  }
  std::vector<NpyArray> read_one(const std::string& content) {
    return read(zip_of({{"a.npy", content}}));
  }
  std::string error_of(const std::string& bytes) {
    try {
      read(bytes);
    } catch (const Error& error) {
      return std::string(error.what()) + " @ " + error.where();
    }
    return "";
  }
  std::string header_error(const std::string& dictionary, const std::string& values) {
    return error_of(zip_of({{"a.npy", npy(dictionary, values)}}));
  }

  TemporaryFolder folder_;
};

TEST_F(Npz, ReadsWhatNumpyWrites) {
  const auto arrays = read(numpy_archive("latents.npy", npy(kTwoFloats, floats({1.5f, -2}))));
  ASSERT_EQ(arrays.size(), 1u);
  EXPECT_EQ(arrays[0].name, "latents");
  EXPECT_EQ(arrays[0].descr, "<f4");
  EXPECT_THAT(arrays[0].shape, ElementsAre(2));
  EXPECT_THAT(float_values(arrays[0], ""), ElementsAre(1.5f, -2.f));
}

TEST_F(Npz, ReadsDataDescriptors) {
  const ZipPart part{.name = "a.npy",
                     .bytes = npy(kTwoFloats, floats({1, 2})),
                     .flags = 8,
                     .after = "PK\7\b" + std::string(12, '\0')};
  EXPECT_EQ(read(zip_of({part})).at(0).bytes.size(), 8u);
}

TEST_F(Npz, ReadsEveryVersionAndShape) {
  EXPECT_THAT(read_one(npy(kTwoFloats, floats({1, 2}), 2)).at(0).shape, ElementsAre(2));
  EXPECT_THAT(read_one(npy(kTwoFloats, floats({1, 2}), 3)).at(0).shape, ElementsAre(2));
  const auto shape_of = [&](const std::string& shape, size_t bytes) {
    return read_one(npy("{\"shape\": " + shape + ",'fortran_order':False, 'descr':'|u1'}",
                        std::string(bytes, '\1')))
        .at(0)
        .shape;
  };
  EXPECT_THAT(shape_of("()", 1), ElementsAre());
  EXPECT_THAT(shape_of("(3,)", 3), ElementsAre(3));
  EXPECT_THAT(shape_of("(2, 3)", 6), ElementsAre(2, 3));
  EXPECT_THAT(shape_of("(2,0,4,)", 0), ElementsAre(2, 0, 4));
  EXPECT_EQ(read_one(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}", floats({1, 2})))
                .size(),
            1u);
}

TEST_F(Npz, RefusesHeadersThatAreNotPlainNumbersInRows) {
  const auto refused = [&](const std::string& descr, const std::string& rest) {
    return header_error("{'descr': " + descr + ", " + rest + "}", "12345678");
  };
  const std::string plain = "'fortran_order': False, 'shape': (2,)";
  for (const char* descr : {"'|O'", "'>f4'", "'<U2'", "'<c8'", "'|S4'", "'f4'", "'<f1'", "'<f3'",
                            "'|f4'", "'<i1'", "'<f44'", "''", "'<b1'"}) {
    EXPECT_THAT(refused(descr, plain), HasSubstr("is not read")) << descr;
  }
  EXPECT_THAT(refused("[('x', '<f4')]", plain), HasSubstr("records"));
  EXPECT_THAT(refused("'<f4'", "'fortran_order': True, 'shape': (2,1)"),
              HasSubstr("fortran_order"));
}

TEST_F(Npz, RefusesMalformedHeaders) {
  for (const char* text :
       {"", "{}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2,]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,"}) {
    EXPECT_THAT(header_error(text, floats({1, 2})), HasSubstr("malformed")) << text;
  }
  EXPECT_THAT(error_of(zip_of({{"a.npy", "no array"}})), HasSubstr("no array of numpy"));
  EXPECT_THAT(error_of(zip_of({{"a.npy", npy(kTwoFloats, floats({1, 2}), 4)}})),
              HasSubstr("version 4.0"));
  EXPECT_THAT(header_error(std::string(20'000, ' '), ""), HasSubstr("20001 bytes"));
}

TEST_F(Npz, RefusesSizesThatLieBeforeAllocating) {
  const auto sized = [&](const std::string& shape) {
    return header_error("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}",
                        floats({1, 2}));
  };
  EXPECT_THAT(sized("(3,)"), HasSubstr("8 bytes where its shape asks for 12"));
  EXPECT_THAT(sized("(1,)"), HasSubstr("asks for 4"));
  EXPECT_THAT(sized("(1000000000000, 1000000)"), HasSubstr("asks for"));
  EXPECT_THAT(sized("(9223372036854775807, 2)"), HasSubstr("more than any memory"));
  EXPECT_THAT(sized("(4611686018427387904, 1)"), HasSubstr("asks for"));
  EXPECT_THAT(sized("(4294967296, 4294967296, 0)"), HasSubstr("more than any memory"));
  EXPECT_THAT(sized("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2)"), HasSubstr("too many dimensions"));
}

TEST_F(Npz, ErrorsNameFileAndArray) {
  const std::string good = npy(kTwoFloats, floats({1, 2}));
  const std::string error = error_of(zip_of({{"a.npy", good}, {"b.npy", good + "x"}}));
  EXPECT_THAT(error, HasSubstr("x.npz, array 'b'"));
  EXPECT_THAT(error_of(zip_of({{.name = "a.npy", .bytes = good, .crc_change = 1}})),
              HasSubstr("checksum"));
  EXPECT_THAT(error_of(zip_of({{"a.txt", good}})), HasSubstr("'a.txt', which is no array"));
  EXPECT_THAT(error_of(zip_of({{".npy", good}})), HasSubstr("no array"));
  EXPECT_THAT(error_of(zip_of({{.name = "a.npy", .bytes = good, .method = 8}})),
              HasSubstr("compressed, which is not read"));
  EXPECT_THAT(error_of("not a zip at all, but long enough"), HasSubstr("x.npz"));
  EXPECT_NE(error_of(""), "");
  EXPECT_THROW(read_npz(folder_ / "absent.npz"), Error);
}

TEST_F(Npz, LimitsHold) {
  const std::string good = npy(kTwoFloats, floats({1, 2}));
  const auto path = folder_.write("x.npz", zip_of({{"a.npy", good}, {"b.npy", good}}));
  EXPECT_THAT(refusal([&] { read_npz(path, {.file_bytes = 100}); }), HasSubstr("100 are allowed"));
  EXPECT_THAT(refusal([&] { read_npz(path, {.arrays = 1}); }), HasSubstr("2 arrays"));
}

TEST_F(Npz, ListsWithoutReadingTheBytes) {
  const auto path = folder_.write(
      "x.npz",
      zip_of({{.name = "a.npy", .bytes = npy(kTwoFloats, floats({1, 2})), .crc_change = 1}}));
  const NpzFile file(path);
  ASSERT_NE(file.find("a"), nullptr);
  EXPECT_THAT(file.find("a")->shape, ElementsAre(2));
  EXPECT_EQ(file.find("b"), nullptr);
  EXPECT_THAT(refusal([&] { file.read("a"); }), HasSubstr("checksum"));
  EXPECT_THAT(refusal([&] { file.read("b"); }), HasSubstr("no array 'b'"));
}

TEST_F(Npz, ConvertsFloats) {
  const auto half = [](uint16_t bits) {
    const std::string bytes = little<uint16_t>(bits);
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    return float_values({"h", "<f2", {1}, {data, data + 2}}, "").at(0);
  };
  EXPECT_EQ(half(0x3c00), 1.0f);
  EXPECT_EQ(half(0xc001), -2.001953125f);
  EXPECT_EQ(half(0x7bff), 65504.0f);
  EXPECT_EQ(half(0x0001), 0x1p-24f);
  EXPECT_EQ(half(0x83ff), -0x3ffp-24f);
  EXPECT_TRUE(std::signbit(half(0x8000)));
  EXPECT_EQ(half(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(half(0x7e00)));
  const std::vector<double> doubles = {0.1, -3};
  EXPECT_THAT(float_values(make_npy("d", {2}, std::span(doubles)), ""), ElementsAre(0.1f, -3.f));
  EXPECT_THAT(refusal([] { float_values({"n", "<i8", {0}, {}}, "x"); }), HasSubstr("'<i8'"));
}

TEST_F(Npz, ConvertsWholeNumbers) {
  const auto value = [](const char* descr, const std::string& bytes) {
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    return integer_values({"n", descr, {1}, {data, data + bytes.size()}}, "").at(0);
  };
  EXPECT_EQ(value("<i8", little<int64_t>(-5)), -5);
  EXPECT_EQ(value("<i4", little<int32_t>(-5)), -5);
  EXPECT_EQ(value("<u4", little<uint32_t>(4'000'000'000)), 4'000'000'000);
  EXPECT_EQ(value("|u1", "\xff"), 255);
  EXPECT_EQ(value("|i1", "\xff"), -1);
  EXPECT_EQ(value("<i2", little<int16_t>(-2)), -2);
  EXPECT_EQ(value("<u2", little<uint16_t>(65535)), 65535);
  EXPECT_EQ(value("<u8", little<uint64_t>(7)), 7);
  EXPECT_THROW(value("<u8", little<uint64_t>(UINT64_MAX)), Error);
  EXPECT_THROW(value("<f4", floats({1})), Error);
}

TEST_F(Npz, WritesNumpysHeader) {
  const std::vector<int64_t> shape = {4, 8, 8};
  const std::string header = npy_header_text("<f4", shape);
  EXPECT_EQ(header.size() % 64, 0u);
  EXPECT_TRUE(header.starts_with(std::string("\x93NUMPY\1\0v\0", 10) +
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 8, 8), }"));
  EXPECT_EQ(header.back(), '\n');
}

TEST_F(Npz, RefusesToWriteWhatItWouldNotRead) {
  const auto write = [&](NpyArray array) {
    return refusal([&] { write_npz(folder_ / "y.npz", {array}); });
  };
  EXPECT_THAT(write({"a", "<f4", {2}, std::vector<std::byte>(7)}), HasSubstr("bytes are not"));
  EXPECT_THAT(write({"", "<f4", {0}, {}}), HasSubstr("without a name"));
  EXPECT_THAT(write({"a", "|O", {0}, {}}), HasSubstr("is not read"));
  EXPECT_EQ(folder_.count(), 0u);
}

std::vector<NpyArray> any_arrays() {
  const std::vector<std::string> types = {"<f2", "<f4", "<f8", "|i1", "|u1", "|b1", "<i8", "<u2"};
  std::vector<NpyArray> arrays;
  const int count = *rc::gen::inRange(1, 5);
  for (int i = 0; i < count; ++i) {
    const std::string descr = *rc::gen::elementOf(types);
    const auto shape = *rc::gen::container<std::vector<int64_t>>(*rc::gen::inRange(0, 4),
                                                                 rc::gen::inRange<int64_t>(0, 5));
    const auto bytes = *rc::gen::container<std::string>(npy_value_bytes(descr, shape, ""),
                                                        rc::gen::arbitrary<char>());
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    arrays.push_back({"ü/array" + std::to_string(i), descr, shape, {data, data + bytes.size()}});
  }
  return arrays;
}

RC_GTEST_PROP(NpzProperty, RoundTrip, ()) {
  const TemporaryFolder folder;
  const auto written = any_arrays();
  write_npz(folder / "x.npz", written);
  const auto found = read_npz(folder / "x.npz");
  RC_ASSERT(found.size() == written.size());
  for (size_t i = 0; i < found.size(); ++i) {
    RC_ASSERT(found[i].name == written[i].name);
    RC_ASSERT(found[i].descr == written[i].descr);
    RC_ASSERT(found[i].shape == written[i].shape);
    RC_ASSERT(found[i].bytes == written[i].bytes);
  }
}

RC_GTEST_PROP(NpzProperty, ChangedBytesAreReadOrRefused, ()) {
  const TemporaryFolder folder;
  write_npz(folder / "x.npz", any_arrays());
  std::string bytes = file_bytes(folder / "x.npz");
  const int changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < changes; ++i) {
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
  }
  bytes.resize(*rc::gen::inRange<size_t>(bytes.size() / 2, bytes.size() + 1));
  const auto path = folder.write("y.npz", bytes);
  refusal([&] {
    uint64_t total = 0;
    for (const NpyArray& array : read_npz(path)) total += array.bytes.size();
    RC_ASSERT(total <= bytes.size());
  });
}

RC_GTEST_PROP(NpzProperty, ChangedHeadersAreReadOrRefused, ()) {
  const TemporaryFolder folder;
  std::string content = npy_header_text("<f4", std::vector<int64_t>{2, 3}) + std::string(24, 'v');
  const int changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < changes; ++i) {
    content[*rc::gen::inRange<size_t>(0, 70)] = *rc::gen::inRange<char>(0, 127);
  }
  const auto path = folder.write("y.npz", zip_of({{"a.npy", content}}));
  refusal([&] { RC_ASSERT(read_npz(path).at(0).bytes.size() <= content.size()); });
}

}  // namespace
}  // namespace sdtune
