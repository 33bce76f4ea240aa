#pragma once
// Rotation: a random orthogonal map in O(n log n): rounds of random sign flips and a fast
// Walsh-Hadamard transform (Ailon and Chazelle, "The fast Johnson-Lindenstrauss transform", SIAM J.
// Comput. 2009). It is orthogonal up to rounding, whatever the signs.
//
// A transform needs a power of two. For other sizes the rounds take turns between the first and the
// last block of the largest power of two that fits. Once each block has had its turn, so that no
// single value stands out, each round ends with a butterfly between what the one block leaves out
// and what the other does: energy spreads evenly over all places.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"

namespace lichen {

class Rotation {
 public:
  // `values`: a multiple of 8, at least 8.
  Rotation(std::size_t values, std::uint64_t seed);

  std::size_t values() const { return values_; }
  // In place. Intermediate values are bounded by the norm of the whole, but for the inverse by
  // √values times that.
  void forward(float* vector) const;
  void inverse(float* vector) const;

 private:
  RotationRounds rounds() const { return {signs_.data(), values_, block_, count_}; }

  std::size_t values_;
  std::size_t block_;         // the largest power of two within values_
  std::size_t count_;         // of the rounds
  std::vector<float> signs_;  // a row a round, times what makes the round's transform orthogonal
};

}  // namespace lichen
