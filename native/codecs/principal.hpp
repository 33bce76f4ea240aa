#pragma once
// Principal directions: the subspace that vectors lie in, as nearly as one of so many dimensions
// can hold them.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

// `wanted` orthonormal directions (wanted × dim values, one after the other) that keep nearly as
// much of Σ|x|² over count × dim finite values as any could: subspace iteration over the matrix of
// second moments (nothing is taken off the vectors), or over that of inner products if vectors are
// fewer than values; Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Rev.
// 2011. wanted ≤ dim. Directions that the vectors do not have are random ones. The order says
// nothing.
std::vector<float> principal_directions(const float* vectors, std::size_t count, std::size_t dim,
                                        std::size_t wanted, std::uint64_t seed);

}  // namespace lichen
