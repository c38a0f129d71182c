#include "kernels/tensor_table.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace sdtune {
namespace {

struct Row {
  int64_t tensor;
  int64_t count;
};
using Table = TensorTable<Row>;

// Which elements of which tensors the parts of all tables are, in order: (tensor, element).
std::vector<std::pair<int64_t, int64_t>> covered(const std::vector<Row>& rows) {
  std::vector<std::pair<int64_t, int64_t>> found;
  each_table(rows.data(), std::ssize(rows), [&](const Table& table) {
    EXPECT_LE(table.size, Table::kMost);
    for (int32_t number = 0; number < table.parts; ++number) {
      const TablePart part = table.part(number);
      EXPECT_EQ(part.first % kTablePart, 0);
      EXPECT_LE(part.count, kTablePart);
      for (int64_t i = 0; i < part.count; ++i) {
        found.emplace_back(table.rows[part.tensor].tensor, part.first + i);
      }
    }
    return 0;
  });
  return found;
}

TEST(TensorTable, CoversEachElementOnceInOrder) {
  std::vector<Row> rows;
  std::vector<std::pair<int64_t, int64_t>> wanted;
  const int64_t sizes[] = {1, kTablePart, 0, kTablePart + 1, 7, 3 * kTablePart, kTablePart - 1};
  for (int64_t tensor = 0; tensor < 3 * Table::kMost + 5; ++tensor) {
    const int64_t count = tensor < 20 ? sizes[tensor % 7] : tensor % 3;
    rows.push_back({tensor, count});
    for (int64_t i = 0; i < count; ++i) wanted.emplace_back(tensor, i);
  }
  EXPECT_EQ(covered(rows), wanted);
}

TEST(TensorTable, MakesNoLaunchForNothing) {
  EXPECT_TRUE(covered({}).empty());
  EXPECT_TRUE(covered({{0, 0}, {1, 0}}).empty());
}

TEST(TensorTable, EndsAtTheFirstError) {
  const std::vector<Row> rows(2 * Table::kMost, Row{0, 1});
  int calls = 0;
  EXPECT_EQ(each_table(rows.data(), std::ssize(rows), [&](const Table&) { return ++calls; }), 1);
}

TEST(TensorTable, FitsAKernelsParameters) { EXPECT_LE(sizeof(Table), 4096U - 256U); }

}  // namespace
}  // namespace sdtune
