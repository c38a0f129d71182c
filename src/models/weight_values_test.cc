#include "models/weight_values.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"
#include "models/model_source.h"

namespace sdtune {
namespace {

// A file with one tensor "w".
class WeightValuesTest : public testing::Test {
 protected:
  ~WeightValuesTest() override { fs::remove(path_); }

  const TensorInfo& write(const at::Tensor& tensor) {
    const WeightValues values = values_of(tensor);
    const DType dtype = values.dtype();
    write_safetensors(path_, {{{"w", dtype, tensor.sizes().vec()},
                               [&](const ByteSink& sink) { write_values(values, dtype, sink); }}});
    file_ = open_safetensors(path_);
    return *file_->find("w");
  }

  fs::path path_ = fs::temp_directory_path() / ("values-" + std::to_string(::getpid()));
  std::unique_ptr<WeightFile> file_;
};

at::Tensor numbers(at::IntArrayRef shape) {
  return at::randn(shape, at::detail::createCPUGenerator(1), at::kFloat);
}

std::vector<std::byte> written(const at::Tensor& tensor, DType dtype) {
  std::vector<std::byte> bytes;
  write_values(values_of(tensor), dtype, [&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  return bytes;
}

bool same_bytes(const std::vector<std::byte>& bytes, const at::Tensor& contiguous) {
  return bytes.size() == contiguous.nbytes() &&
         std::memcmp(bytes.data(), contiguous.const_data_ptr(), bytes.size()) == 0;
}

TEST_F(WeightValuesTest, TensorsLongerThanAPieceComeBackEqual) {
  const at::Tensor tensor = numbers({3, 700'001});
  const TensorInfo& info = write(tensor);
  const at::Tensor same = read_tensor(values_in_file(*file_, info), info.shape, at::kFloat);
  EXPECT_TRUE(at::equal(same, tensor));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(same.data_ptr()) % 64, 0u);
  const at::Tensor narrow = read_tensor(values_in_file(*file_, info), info.shape, at::kBFloat16);
  EXPECT_TRUE(at::equal(narrow, tensor.to(at::kBFloat16)));
}

TEST_F(WeightValuesTest, EveryFloatingTypeIsReadAsItsValues) {
  const at::Tensor tensor = numbers({5, 7});
  for (const auto type :
       {at::kDouble, at::kHalf, at::kBFloat16, at::kFloat8_e4m3fn, at::kFloat8_e5m2}) {
    const at::Tensor stored = tensor.to(type);
    const TensorInfo& info = write(stored);
    EXPECT_EQ(scalar_type_of(info.dtype), type);
    EXPECT_TRUE(at::equal(read_tensor(values_in_file(*file_, info), {7, 5}, at::kFloat),
                          stored.to(at::kFloat).view({7, 5})))
        << dtype_name(info.dtype);
  }
}

TEST_F(WeightValuesTest, APartOfAJoinedTensorIsItsRows) {
  const at::Tensor joined = numbers({6, 4});
  ModelPart part;
  BoundWeight weight;
  weight.found = &write(joined);
  part.file = std::move(file_);
  weight.whole = false;
  weight.want.parts = 3;
  weight.want.part = 1;
  for (const auto type : {at::kFloat, at::kHalf}) {
    const at::Tensor rows = read_tensor(values_in_source(part, weight), {2, 4}, type);
    EXPECT_TRUE(at::equal(rows, joined.narrow(0, 2, 2).to(type)));
  }
}

TEST_F(WeightValuesTest, ParametersAreWrittenRowMajorWhateverTheirLayout) {
  const at::Tensor plain = numbers({40, 30, 3, 3});
  const at::Tensor parameter = plain.contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  EXPECT_TRUE(same_bytes(written(parameter, DType::kF32), plain));
  EXPECT_TRUE(same_bytes(written(parameter, DType::kF16), plain.to(at::kHalf)));
  const at::Tensor tall = numbers({1'200'000, 2}).t();
  EXPECT_TRUE(same_bytes(written(tall, DType::kF32), tall.contiguous()));
  EXPECT_TRUE(same_bytes(written(at::ones({}, at::kLong), DType::kI64), at::ones({1}, at::kLong)));
  EXPECT_TRUE(written(at::empty({0, 3}), DType::kF32).empty());
}

TEST_F(WeightValuesTest, TypesThatFilesCannotHoldAreRefused) {
  EXPECT_THROW(values_of(at::zeros({1}, at::kComplexFloat)).dtype(), Error);
}

}  // namespace
}  // namespace sdtune
