#pragma once
// Seeded test data.

#include <cmath>
#include <cstdint>
#include <vector>

#include "runtime/random.hpp"

namespace lichen::test {

// A stream of random numbers.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}
  std::size_t below(std::size_t end) { return splitmix64(seed_, next_++) % end; }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t seed_;
  std::uint64_t next_ = 0;
};

inline double uniform(std::uint64_t seed, std::uint64_t n) {
  return 2.0 * uniform_open(seed, n) - 1.0;
}

inline std::vector<float> uniform_floats(std::uint64_t seed, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(uniform(seed, i));
  return values;
}

// Points around `clusters` centres: harder for a graph than uniform ones, and nearer to real
// embeddings.
inline std::vector<float> clustered(std::uint64_t seed, std::size_t rows, std::size_t dim,
                                    std::size_t clusters) {
  const std::vector<float> centres = uniform_floats(seed + 1, clusters * dim);
  std::vector<float> values(rows * dim);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t c = splitmix64(seed + 2, r) % clusters;
    for (std::size_t d = 0; d < dim; ++d) {
      values[r * dim + d] =
          centres[c * dim + d] + 0.35f * static_cast<float>(uniform(seed + 3, r * dim + d));
    }
  }
  return values;
}

}  // namespace lichen::test
