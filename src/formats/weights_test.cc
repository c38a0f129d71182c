#include "formats/weights.h"

#include <gtest/gtest.h>

#include "formats/checked_size.h"
#include "formats/test_files.h"
#include "formats/utf8.h"

namespace sdtune {
namespace {

class NamesOnly : public WeightFile {
 public:
  explicit NamesOnly(const std::vector<std::string>& names) {
    for (const std::string& name : names) tensors_.push_back({name, DType::kF32, {1}});
    index();
  }

 private:
  void copy(size_t, uint64_t, std::span<std::byte>) const override {}
};

TEST(DTypes, HaveSizeNameAndKind) {
  EXPECT_EQ(dtype_size(DType::kF64), 8u);
  EXPECT_EQ(dtype_size(DType::kBF16), 2u);
  EXPECT_EQ(dtype_size(DType::kBool), 1u);
  EXPECT_STREQ(dtype_name(DType::kF8E4M3), "F8_E4M3");
  EXPECT_STREQ(dtype_name(DType::kU16), "U16");
  EXPECT_STREQ(dtype_name(DType::kBool), "BOOL");
  EXPECT_TRUE(dtype_is_floating(DType::kF8E5M2));
  EXPECT_FALSE(dtype_is_floating(DType::kI64));
}

TEST(TensorInfo, CountsElementsAndBytes) {
  const TensorInfo info{"w", DType::kF16, {2, 3, 4}};
  EXPECT_EQ(info.numel(), 24);
  EXPECT_EQ(info.bytes(), 48u);
  EXPECT_EQ((TensorInfo{"scalar", DType::kF32, {}}.bytes()), 4u);
  EXPECT_EQ((TensorInfo{"empty", DType::kF32, {3, 0}}.bytes()), 0u);
}

TEST(WeightFile, FindsByName) {
  const NamesOnly file({"a", "b"});
  EXPECT_EQ(file.find("b"), &file.tensors()[1]);
  EXPECT_EQ(file.find("c"), nullptr);
}

TEST(WeightFile, RefusesANameThatStandsTwice) {
  EXPECT_EQ(refusal([] { NamesOnly({"a", "b", "a"}); }), "the tensor 'a' stands twice in the file");
}

TEST(CheckedSize, RefusesWhatDoesNotFit) {
  const int64_t big = int64_t{1} << 62;
  EXPECT_EQ(checked_numel(std::vector<int64_t>{2, 3}), 6u);
  EXPECT_FALSE(checked_numel(std::vector<int64_t>{2, -1}));
  EXPECT_FALSE(checked_numel(std::vector<int64_t>{big, 2}));
  EXPECT_FALSE(checked_numel(std::vector<int64_t>{big, 2, 0}));
  EXPECT_FALSE(checked_bytes(std::vector<int64_t>{big}, DType::kF64));
  EXPECT_FALSE(checked_bytes(std::vector<int64_t>{big}, DType::kF16));
  EXPECT_EQ(checked_bytes(std::vector<int64_t>{0, big}, DType::kF64), 0u);
}

TEST(Utf8, AcceptsTextAndRefusesTheRest) {
  for (const char* good :
       {"", "a", "größe", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
        "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xc3("}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace sdtune
