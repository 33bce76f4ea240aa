#include "tensor/dropout.hpp"

#include <algorithm>

#include "runtime/random.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {

void fill_dropout(std::uint64_t seed, double share, std::size_t count, float* out) {
  constexpr std::size_t kDropoutGrain = std::size_t{1} << 15;  // pairs of values of a thread
  const auto limit = static_cast<std::uint64_t>(share * 0x1.0p32);
  const auto kept = static_cast<float>(1.0 / (1.0 - share));
  shared_ranges((count + 1) / 2, kDropoutGrain, [&](std::size_t first, std::size_t last) {
    for (std::size_t pair = first; pair < last; ++pair) {
      const std::uint64_t random = splitmix64(seed, pair);
      out[2 * pair] = (random & 0xFFFFFFFFu) < limit ? 0.0f : kept;
      if (2 * pair + 1 < count) out[2 * pair + 1] = (random >> 32) < limit ? 0.0f : kept;
    }
  });
}

}  // namespace lichen
