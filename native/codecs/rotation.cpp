#include "codecs/rotation.hpp"

#include <bit>
#include <cmath>

#include "runtime/random.hpp"

namespace lichen {
namespace {

constexpr std::size_t kRounds = 2;
constexpr std::size_t kRoundsOfTwoBlocks = 4;

}  // namespace

Rotation::Rotation(std::size_t values, std::uint64_t seed)
    : values_(values),
      block_(std::bit_floor(values)),
      count_(block_ == values ? kRounds : kRoundsOfTwoBlocks),
      signs_(count_ * values) {
  const double of_block = 1.0 / std::sqrt(static_cast<double>(block_));
  const std::size_t outside = values_ - block_;
  for (std::size_t r = 0; r < count_; ++r) {
    const std::size_t first = r % 2 == 0 ? 0 : outside;
    for (std::size_t i = 0; i < values_; ++i) {
      const std::size_t n = r * values_ + i;
      const double size = i >= first && i - first < block_ ? of_block : 1.0;
      signs_[n] = static_cast<float>(splitmix64(seed, n) >> 63 != 0 ? -size : size);
    }
  }
}

void Rotation::forward(float* vector) const { kernels().prepare.rotate(rounds(), vector); }

void Rotation::inverse(float* vector) const { kernels().prepare.rotate_back(rounds(), vector); }

}  // namespace lichen
