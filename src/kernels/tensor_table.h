// Many tensors in one kernel launch: a table small enough to be a kernel's parameter, so that
// nothing has to be copied to the device before. A thread block finds its tensor and its part of
// that by its number. The parts depend on the sizes alone, so results do not depend on the device.
#pragma once

#include <cstdint>

#include "kernels/on_both.h"

namespace sdtune {

constexpr int64_t kTablePart = 8192;  // elements of a thread block; a multiple of every vector

SDTUNE_ON_BOTH int64_t table_parts(int64_t count) { return (count + kTablePart - 1) / kTablePart; }

struct TablePart {
  int tensor;     // row of the table
  int64_t first;  // element
  int64_t count;
};

// Row: a trivial struct with `int64_t count`, what a kernel must know of one tensor.
template <class Row>
struct TensorTable {
  // A kernel's parameters are 4 KiB together.
  static constexpr int kMost = 3584 / static_cast<int>(sizeof(Row) + sizeof(int32_t));

  Row rows[kMost];
  int32_t first_parts[kMost];  // parts of the rows before
  int32_t size = 0;
  int32_t parts = 0;  // of all rows: the thread blocks of a launch

  bool full() const { return size == kMost; }
  // Rows without elements are left out. Not to be called when full.
  void add(const Row& row) {
    if (row.count == 0) return;
    rows[size] = row;
    first_parts[size] = parts;
    parts += static_cast<int32_t>(table_parts(row.count));
    ++size;
  }

  // number: below `parts`.
  SDTUNE_ON_BOTH TablePart part(int32_t number) const {
    int low = 0, high = size;  // the row is in [low, high)
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (first_parts[middle] <= number) {
        low = middle;
      } else {
        high = middle;
      }
    }
    const int64_t first = int64_t{number - first_parts[low]} * kTablePart;
    const int64_t rest = rows[low].count - first;
    return {low, first, rest < kTablePart ? rest : kTablePart};
  }
};

// Calls use(table) for tables that hold the rows in their order; use returns an error code, 0 when
// all is well, and the first other one ends it.
template <class Row, class Use>
auto each_table(const Row* rows, int64_t count, Use use) {
  TensorTable<Row> table;
  auto error = decltype(use(table)){};
  for (int64_t i = 0; i < count; ++i) {
    table.add(rows[i]);
    if (!table.full() && i + 1 < count) continue;
    if (table.parts > 0) error = use(table);
    if (error != decltype(error){}) return error;
    table.size = table.parts = 0;
  }
  return error;
}

}  // namespace sdtune
