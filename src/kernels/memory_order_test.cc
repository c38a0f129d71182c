#include "kernels/memory_order.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace sdtune {
namespace {

// Where torch has each element, in the order of a contiguous tensor.
at::Tensor places_in_torch(const at::Tensor& tensor) {
  at::Tensor places = at::zeros(tensor.sizes(), at::kLong);
  for (int64_t d = 0; d < tensor.dim(); ++d) {
    std::vector<int64_t> shape(static_cast<size_t>(tensor.dim()), 1);
    shape[static_cast<size_t>(d)] = tensor.size(d);
    places += at::arange(tensor.size(d)).view(shape) * tensor.stride(d);
  }
  return places.flatten();
}

TEST(MemoryOrder, FindsElementsWhereTorchsStridesHaveThem) {
  for (const int64_t outer : {1, 2, 5}) {
    for (const int64_t channels : {1, 2, 7, 64}) {
      for (const auto& [height, width] : {std::pair{1, 1}, {1, 3}, {3, 1}, {3, 3}, {5, 8}}) {
        const at::Tensor tensor =
            at::empty({outer, channels, height, width}, at::TensorOptions(at::kByte),
                      at::MemoryFormat::ChannelsLast);
        const MemoryOrder order = {static_cast<uint32_t>(channels),
                                   static_cast<uint32_t>(height * width)};
        const at::Tensor wanted = places_in_torch(tensor);
        for (int64_t i = 0; i < tensor.numel(); ++i) {
          ASSERT_EQ(place_in_memory(order, i), wanted[i].item<int64_t>())
              << i << " of " << tensor.sizes();
        }
      }
    }
  }
}

// Of a tensor that nobody could allocate here, without its values.
TEST(MemoryOrder, ReachesToTheLastElementThatItMay) {
  const MemoryOrder order = {65535, 9};
  const int64_t last = kMostMapped / (65535 * 9) * (65535 * 9) - 1;
  EXPECT_GT(last, INT32_MAX);
  EXPECT_EQ(place_in_memory(order, last), last);
  EXPECT_EQ(place_in_memory(order, last - 1), last - 65535);
  EXPECT_EQ(place_in_memory(order, last - 9), last - 1);
}

TEST(MemoryOrder, LeavesContiguousElementsOfAnyNumberWhereTheyAre) {
  for (const int64_t index : {int64_t{0}, int64_t{12345}, int64_t{1} << 40}) {
    EXPECT_EQ(place_in_memory({}, index), index);
  }
}

}  // namespace
}  // namespace sdtune
