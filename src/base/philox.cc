#include "base/philox.h"

#include <cmath>
#include <numbers>

namespace sdtune {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

namespace {

// Folds one more index into a 64-bit stream number; splitmix64's finaliser, a bijection of the sum.
uint64_t fold(uint64_t state, uint64_t value) {
  uint64_t z = state + 0x9E3779B97F4A7C15 + value;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed, Draw draw, uint64_t a, uint64_t b, uint64_t c)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {
  const uint64_t stream = fold(fold(fold(fold(0, static_cast<uint64_t>(draw)), a), b), c);
  counter_ = {0, 0, static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
}

uint32_t Random::next() {
  if (used_ == 4) {
    block_ = philox4x32(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

double Random::uniform() {
  const uint64_t high = next() >> 5, low = next() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

uint64_t Random::below(uint64_t n) {
  // Rejects the part of the 64-bit range that is no multiple of n.
  const uint64_t excess = (0 - n) % n;
  for (;;) {
    const uint64_t high = next();
    const uint64_t value = (high << 32) | next();
    if (value >= excess) return value % n;
  }
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  const double angle = 2 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

void Random::fill_normal(std::span<float> out) {
  for (float& value : out) value = static_cast<float>(normal());
}

}  // namespace sdtune
