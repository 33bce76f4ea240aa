#pragma once
// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a hash of a counter, so that the n-th number of
// a seed can be had without the ones before it and does not depend on which thread asks.

#include <cstdint>

namespace lichen {

inline std::uint64_t splitmix64(std::uint64_t seed, std::uint64_t n) {
  std::uint64_t z = seed + (n + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Uniform in (0, 1]: never zero, so that its logarithm exists.
inline double uniform_open(std::uint64_t seed, std::uint64_t n) {
  return (static_cast<double>(splitmix64(seed, n) >> 11) + 1.0) * 0x1.0p-53;
}

}  // namespace lichen
