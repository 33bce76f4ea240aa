#pragma once
// Masks of dropout (Srivastava et al., JMLR 2014).

#include <cstddef>
#include <cstdint>

namespace lichen {

// Each of out is 0 with the chance `share`, in [0, 1), else 1 / (1 − share). The same for one seed,
// whatever the number of threads.
void fill_dropout(std::uint64_t seed, double share, std::size_t count, float* out);

}  // namespace lichen
