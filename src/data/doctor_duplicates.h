// Pictures that are there more than once: the same bytes, or nearly the same look by perceptual
// hashes. Made for a hundred thousand pictures: neither compares all with all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace sdtune {

inline constexpr int kNearDistance = 3;  // bits of 64

using Group = std::vector<size_t>;  // at least two indices, ascending

// Groups of hashes that differ in at most kNearDistance bits, neighbours of neighbours included,
// sorted by their first index. By the pigeonhole principle two such hashes agree in one of four
// quarters, so only those that share a quarter are compared.
std::vector<Group> near_groups(std::span<const uint64_t> hashes);

// Groups of files with the same bytes, sorted likewise. Only files of one length are read, on
// `threads` threads; one that cannot be read is in no group.
std::vector<Group> equal_files(const std::vector<std::filesystem::path>& files, int threads);

}  // namespace sdtune
