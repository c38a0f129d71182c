#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/test_files.h"
#include "formats/torch_checkpoint.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

TEST(TorchCheckpointWriter, RoundTripsEveryDType) {
  const TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    const auto dtype = static_cast<DType>(i);
    tensors.push_back(tensor_of(dtype_name(dtype), dtype, {2, 3},
                                std::string(6 * dtype_size(dtype), static_cast<char>('a' + i))));
  }
  tensors.push_back(tensor_of("scalar", DType::kU8, {}, "s"));
  tensors.push_back(tensor_of("empty", DType::kF32, {0, 3}, ""));
  tensors.push_back(tensor_of("große", DType::kU8, {300}, std::string(300, 'g')));
  write_torch_checkpoint(folder / "x.ckpt", tensors,
                         {.epoch = 70000, .global_step = int64_t{1} << 40});
  const auto file = open_torch_checkpoint(folder / "x.ckpt");
  EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{
                                  {"epoch", "70000"}, {"global_step", "1099511627776"}}));
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = file->tensors()[i];
    EXPECT_EQ(info.name, tensors[i].info.name);
    EXPECT_EQ(info.dtype, tensors[i].info.dtype);
    EXPECT_EQ(info.shape, tensors[i].info.shape);
    std::string expected;
    tensors[i].produce([&](std::span<const std::byte> bytes) {
      expected.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    EXPECT_EQ(tensor_bytes(*file, info.name), expected);
  }
}

TEST(TorchCheckpointWriter, WritesThePlainDictToo) {
  const TemporaryFolder folder;
  write_torch_checkpoint(folder / "x.ckpt", {tensor_of("w", DType::kU8, {1}, "w")},
                         {.wrap_state_dict = false, .epoch = 5});
  const auto file = open_torch_checkpoint(folder / "x.ckpt");
  EXPECT_EQ(tensor_bytes(*file, "w"), "w");
  EXPECT_TRUE(file->metadata().empty());
}

TEST(TorchCheckpointWriter, LeavesNothingWhenItFails) {
  const TemporaryFolder folder;
  const auto attempt = [&](std::vector<TensorToWrite> tensors) {
    return refusal([&] { write_torch_checkpoint(folder / "x.ckpt", tensors); });
  };
  EXPECT_THAT(attempt({tensor_of("w", DType::kU8, {2}, "w")}), HasSubstr("1 of its 2 bytes"));
  EXPECT_THAT(attempt({tensor_of("w", DType::kU8, {1}, "ww")}), HasSubstr("more than its 1"));
  EXPECT_THAT(attempt({tensor_of("w", DType::kU8, {1}, "w"), tensor_of("w", DType::kU8, {1}, "w")}),
              HasSubstr("two tensors"));
  EXPECT_THAT(attempt({tensor_of("\xff", DType::kU8, {1}, "w")}), HasSubstr("UTF-8"));
  EXPECT_EQ(folder.count(), 0u);
}

}  // namespace
}  // namespace sdtune
