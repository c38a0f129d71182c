#include "kernels/gemm_cpu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace sdtune {
namespace {

struct Case {
  int64_t rows, columns, depth;
  bool a_flipped, b_flipped, c_flipped;  // stored as the transposed matrix
  bool has_bias, adds;
  int64_t gap;  // numbers between the end of a stored row and the next row
  GemmTile tile;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.rows << "x" << c.depth << " by " << c.columns << " flipped " << c.a_flipped
       << c.b_flipped << c.c_flipped << " bias " << c.has_bias << " adds " << c.adds << " gap "
       << c.gap << " tile " << static_cast<int64_t>(c.tile);
}

// A matrix and the memory around it.
struct Stored {
  std::vector<float> values;
  int64_t row_step, column_step;

  Stored(int64_t rows, int64_t columns, bool flipped, int64_t gap)
      : values((flipped ? columns : rows) * ((flipped ? rows : columns) + gap)),
        row_step(flipped ? 1 : columns + gap),
        column_step(flipped ? rows + gap : 1) {}

  size_t place(int64_t row, int64_t column) const { return row * row_step + column * column_step; }
  float at(int64_t row, int64_t column) const { return values[place(row, column)]; }
};

void draw(std::vector<float>& values, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  for (float& value : values) value = normal(random);
}

// Every number of c, in double, and that nothing between its rows is touched.
void expect_right(const Case& given, std::mt19937_64& random) {
  Stored a(given.rows, given.depth, given.a_flipped, given.gap);
  Stored b(given.depth, given.columns, given.b_flipped, given.gap);
  Stored c(given.rows, given.columns, given.c_flipped, given.gap);
  std::vector<float> bias(given.rows);
  for (auto* values : {&a.values, &b.values, &c.values, &bias}) draw(*values, random);
  std::vector<float> wanted = c.values;
  for (int64_t row = 0; row < given.rows; ++row) {
    for (int64_t column = 0; column < given.columns; ++column) {
      double sum = given.has_bias ? bias[row] : given.adds ? c.at(row, column) : 0;
      for (int64_t k = 0; k < given.depth; ++k) {
        sum += static_cast<double>(a.at(row, k)) * b.at(k, column);
      }
      wanted[c.place(row, column)] = static_cast<float>(sum);
    }
  }
  gemm_cpu({{a.values.data(), a.row_step, a.column_step},
            {b.values.data(), b.row_step, b.column_step},
            {c.values.data(), c.row_step, c.column_step},
            given.rows,
            given.columns,
            given.depth,
            given.has_bias ? bias.data() : nullptr,
            given.adds,
            given.tile});
  const double limit = 1e-5 * std::sqrt(static_cast<double>(given.depth) + 1);
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(c.values[i], wanted[i], limit) << i;
}

Case random_case(std::mt19937_64& random, int64_t longest) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Case given = {};
  given.rows = draw(1, longest);
  given.columns = draw(1, longest);
  given.depth = draw(1, longest);
  given.a_flipped = draw(0, 1) == 1;
  given.b_flipped = draw(0, 1) == 1;
  given.c_flipped = draw(0, 1) == 1;
  given.has_bias = draw(0, 2) == 0;
  given.adds = !given.has_bias && draw(0, 1) == 1;
  given.gap = draw(0, 1) * draw(1, 9);
  given.tile = draw(0, 1) == 1 ? GemmTile::kWide : GemmTile::kNarrow;
  return given;
}

TEST(Gemm, IsRightForAnySizeAndOrder) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 400; ++i) {
    const Case given = random_case(random, i % 4 == 0 ? 130 : 40);
    SCOPED_TRACE(testing::PrintToString(given));
    expect_right(given, random);
  }
}

// More rows, columns and depth than are packed at a time.
TEST(Gemm, IsRightAcrossBlocks) {
  std::mt19937_64 random(2);
  for (const bool flipped : {false, true}) {
    for (const GemmTile tile : {GemmTile::kNarrow, GemmTile::kWide}) {
      expect_right({199, 33, 1030, flipped, !flipped, flipped, true, false, 3, tile}, random);
      expect_right({13, 1030, 515, !flipped, flipped, flipped, false, true, 0, tile}, random);
    }
  }
}

TEST(Gemm, GivesTheSameBytesHoweverItIsSplit) {
  std::mt19937_64 random(3);
  constexpr int64_t kRows = 50, kColumns = 80, kDepth = 600;
  std::vector<float> a(kRows * kDepth), b(kDepth * kColumns);
  std::vector<float> whole(kRows * kColumns), parts(kRows * kColumns);
  draw(a, random);
  draw(b, random);
  gemm_cpu({{a.data(), kDepth, 1},
            {b.data(), kColumns, 1},
            {whole.data(), kColumns, 1},
            kRows,
            kColumns,
            kDepth});
  for (const int64_t row : {0, 13}) {
    for (const int64_t column : {0, 48}) {
      gemm_cpu({{a.data() + row * kDepth, kDepth, 1},
                {b.data() + column, kColumns, 1},
                {parts.data() + row * kColumns + column, kColumns, 1},
                row == 0 ? 13 : kRows - 13,
                column == 0 ? 48 : kColumns - 48,
                kDepth});
    }
  }
  EXPECT_EQ(whole, parts);
}

}  // namespace
}  // namespace sdtune
