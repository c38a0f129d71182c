// Several ways of the same work, timed in turns.
#pragma once

#include <functional>
#include <vector>

namespace sdtune {

// The median milliseconds of each; rivals alternate, so that a busy neighbour slows all. Processor
// time where torch has one thread, which a busy machine disturbs less.
std::vector<double> medians(const std::vector<std::function<void()>>& rivals, int rounds);

}  // namespace sdtune
