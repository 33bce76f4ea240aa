// What is made of a whole row: its extremes, its softmax, its transposition; and steps of the
// optimizers.

void accumulate_values(const float* x, std::size_t count, double* sums) {
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) sums[i] += x[i];
}

template <class Extreme>
inline float extreme_of(const float* x, std::size_t count) {
  constexpr std::size_t kLanes = 32;
  float lanes[kLanes];
  for (float& lane : lanes) lane = *x;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lanes[j] = Extreme::of(lanes[j], x[i + j]);
  }
  for (; i < count; ++i) lanes[0] = Extreme::of(lanes[0], x[i]);
  for (std::size_t j = 1; j < kLanes; ++j) lanes[0] = Extreme::of(lanes[0], lanes[j]);
  return lanes[0];
}

float maximum_value(const float* x, std::size_t count) { return extreme_of<Maximum>(x, count); }
float minimum_value(const float* x, std::size_t count) { return extreme_of<Minimum>(x, count); }

void softmax_row(const float* x, std::size_t count, float* out) {
  const float most = maximum_value(x, count);
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) out[i] = exp_of(x[i] - most);
  const auto share =
      static_cast<float>(1.0 / lane_sum(count, [&](std::size_t i) { return out[i]; }));
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) out[i] *= share;
}

void transpose_words(const std::uint32_t* x, std::size_t x_step, std::size_t rows,
                     std::size_t columns, std::uint32_t* out, std::size_t out_step) {
  constexpr std::size_t kWidth = Simd::kWidth;
  std::size_t row = 0;
  for (; row + kWidth <= rows; row += kWidth) {
    const std::uint32_t* const from = x + row * x_step;
    std::size_t column = 0;
    for (; column + kWidth <= columns; column += kWidth) {
      Simd::transpose([&](std::size_t i) { return Simd::int_load(from + i * x_step + column); },
                      out + column * out_step + row, out_step);
    }
    for (; column < columns; ++column) {
      for (std::size_t i = 0; i < kWidth; ++i) {
        out[column * out_step + row + i] = from[i * x_step + column];
      }
    }
  }
  for (; row < rows; ++row) {
    for (std::size_t c = 0; c < columns; ++c) out[c * out_step + row] = x[row * x_step + c];
  }
}

void adam_step(const AdamStep& step, const float* gradients, std::size_t count, float* values,
               float* means, float* squares) {
  const double beta1 = step.beta1;
  const double beta2 = step.beta2;
  const double epsilon = step.epsilon;
  const double rate = step.rate;
  const double square_scale = step.square_scale;
  const double keep = step.keep;
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) {
    const double gradient = gradients[i];
    const double mean = beta1 * means[i] + (1.0 - beta1) * gradient;
    const double square = beta2 * squares[i] + (1.0 - beta2) * gradient * gradient;
    means[i] = static_cast<float>(mean);
    squares[i] = static_cast<float>(square);
    values[i] = static_cast<float>(
        keep * values[i] - (rate * mean) / (__builtin_sqrt(square * square_scale) + epsilon));
  }
}

void adagrad_step(double rate, double epsilon, double keep, const float* gradients,
                  std::size_t count, float* values, float* squares) {
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) {
    const double gradient = gradients[i];
    const double square = squares[i] + gradient * gradient;
    squares[i] = static_cast<float>(square);
    values[i] = static_cast<float>(keep * values[i] -
                                   (rate * gradient) / (__builtin_sqrt(square) + epsilon));
  }
}

void add_weighted_values(float weight, const float* x, std::size_t count, float* sums) {
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) sums[i] += weight * x[i];
}
