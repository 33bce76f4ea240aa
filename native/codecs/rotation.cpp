#include "codecs/rotation.hpp"

#include <bit>
#include <cmath>

#include "runtime/random.hpp"

namespace lichen {
namespace {

constexpr std::size_t kRounds = 2;
constexpr std::size_t kRoundsOfTwoBlocks = 4;

void butterfly(float* __restrict low, float* __restrict high, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float a = low[i];
    const float b = high[i];
    low[i] = a + b;
    high[i] = a - b;
  }
}

// The same, normalized.
void mix(float* __restrict low, float* __restrict high, std::size_t count) {
  constexpr float kRootOfHalf = 0.70710678f;
  for (std::size_t i = 0; i < count; ++i) {
    const float a = low[i];
    const float b = high[i];
    low[i] = (a + b) * kRootOfHalf;
    high[i] = (a - b) * kRootOfHalf;
  }
}

// Two stages at once, h and 2h: half the trips through memory.
void butterfly4(float* __restrict p0, float* __restrict p1, float* __restrict p2,
                float* __restrict p3, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float a = p0[i] + p1[i];
    const float b = p0[i] - p1[i];
    const float c = p2[i] + p3[i];
    const float d = p2[i] - p3[i];
    p0[i] = a + c;
    p1[i] = b + d;
    p2[i] = a - c;
    p3[i] = b - d;
  }
}

void transform8(float* x) {
  const float a0 = x[0] + x[4], a1 = x[1] + x[5], a2 = x[2] + x[6], a3 = x[3] + x[7];
  const float a4 = x[0] - x[4], a5 = x[1] - x[5], a6 = x[2] - x[6], a7 = x[3] - x[7];
  const float b0 = a0 + a2, b1 = a1 + a3, b2 = a0 - a2, b3 = a1 - a3;
  const float b4 = a4 + a6, b5 = a5 + a7, b6 = a4 - a6, b7 = a5 - a7;
  x[0] = b0 + b1, x[1] = b0 - b1, x[2] = b2 + b3, x[3] = b2 - b3;
  x[4] = b4 + b5, x[5] = b4 - b5, x[6] = b6 + b7, x[7] = b6 - b7;
}

// The unnormalized Walsh-Hadamard transform of `size` values, a power of two from 8 on.
void transform(float* x, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 8) transform8(x + i);
  std::size_t h = 8;
  for (; h * 4 <= size; h *= 4) {
    for (std::size_t i = 0; i < size; i += 4 * h) {
      butterfly4(x + i, x + i + h, x + i + 2 * h, x + i + 3 * h, h);
    }
  }
  if (h < size) butterfly(x, x + h, h);
}

}  // namespace

Rotation::Rotation(std::size_t values, std::uint64_t seed)
    : values_(values),
      block_(std::bit_floor(values)),
      rounds_(block_ == values ? kRounds : kRoundsOfTwoBlocks),
      signs_(rounds_ * values) {
  const double of_block = 1.0 / std::sqrt(static_cast<double>(block_));
  const std::size_t outside = values_ - block_;
  for (std::size_t r = 0; r < rounds_; ++r) {
    const std::size_t first = r % 2 == 0 ? 0 : outside;
    for (std::size_t i = 0; i < values_; ++i) {
      const std::size_t n = r * values_ + i;
      const double size = i >= first && i - first < block_ ? of_block : 1.0;
      signs_[n] = static_cast<float>(splitmix64(seed, n) >> 63 != 0 ? -size : size);
    }
  }
}

void Rotation::forward(float* vector) const {
  const std::size_t outside = values_ - block_;
  for (std::size_t r = 0; r < rounds_; ++r) {
    const float* signs = signs_.data() + r * values_;
    for (std::size_t i = 0; i < values_; ++i) vector[i] *= signs[i];
    transform(r % 2 == 0 ? vector : vector + outside, block_);
    if (r > 0) mix(vector, vector + block_, outside);
  }
}

void Rotation::inverse(float* vector) const {
  const std::size_t outside = values_ - block_;
  for (std::size_t r = rounds_; r-- > 0;) {
    const float* signs = signs_.data() + r * values_;
    if (r > 0) mix(vector, vector + block_, outside);
    transform(r % 2 == 0 ? vector : vector + outside, block_);
    for (std::size_t i = 0; i < values_; ++i) vector[i] *= signs[i];
  }
}

}  // namespace lichen
