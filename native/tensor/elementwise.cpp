#include "tensor/elementwise.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"
#include "runtime/error.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {
namespace {

constexpr std::size_t kElementGrain = std::size_t{1} << 17;  // values of a thread, at least
constexpr std::size_t kCostlyGrain = std::size_t{1} << 15;   // where a value takes long

std::size_t grain_of(Binary operation) {
  const bool costly = operation == Binary::kPower || operation == Binary::kModulo;
  return costly ? kCostlyGrain : kElementGrain;
}

std::size_t grain_of(Unary operation) {
  const bool costly = operation >= Unary::kExp && operation <= Unary::kSoftplus;
  return costly ? kCostlyGrain : kElementGrain;
}

// Calls row(offsets in a and b, steps, count, first place in out).
template <class Row>
void in_rows(const Axes<2>& axes, std::size_t grain, const Row& row) {
  const std::size_t count = axes.count();
  if (count == 0) return;
  if (axes.rank == 0) return row(0, 0, 0, 0, 1, 0);
  const std::size_t length = axes.extents[axes.rank - 1];
  const auto a_step = static_cast<std::size_t>(axes.steps[0][axes.rank - 1]);
  const auto b_step = static_cast<std::size_t>(axes.steps[1][axes.rank - 1]);
  if (axes.rank == 1) {
    shared_ranges(length, grain, [&](std::size_t first, std::size_t last) {
      row(first * a_step, first * b_step, a_step, b_step, last - first, first);
    });
    return;
  }
  shared_ranges(count / length, std::max<std::size_t>(1, grain / length),
                [&](std::size_t first, std::size_t last) {
                  for_rows(axes, first, last, [&](const auto& offsets, std::size_t number) {
                    row(static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(offsets[1]),
                        a_step, b_step, length, number * length);
                  });
                });
}

template <class In, class Out, class Operation>
void plain(const Axes<2>& axes, const In* a, const In* b, Out* out, const Operation& operation) {
  in_rows(axes, kElementGrain,
          [&](std::size_t a_at, std::size_t b_at, std::size_t a_step, std::size_t b_step,
              std::size_t count, std::size_t out_at) {
            for (std::size_t i = 0; i < count; ++i) {
              out[out_at + i] =
                  static_cast<Out>(operation(a[a_at + i * a_step], b[b_at + i * b_step]));
            }
          });
}

// Overflow wraps around.
template <class Operation>
auto wrapping(const Operation& operation) {
  return [operation](std::int32_t a, std::int32_t b) {
    return static_cast<std::int32_t>(
        operation(static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b)));
  };
}

std::int32_t floor_divide(std::int32_t a, std::int32_t b) {
  if (b == 0) return 0;
  const std::int64_t quotient = std::int64_t{a} / b;
  const bool rounds_up = std::int64_t{a} % b != 0 && (a < 0) != (b < 0);
  return static_cast<std::int32_t>(quotient - (rounds_up ? 1 : 0));
}

std::int32_t modulo(std::int32_t a, std::int32_t b) {
  if (b == 0) return 0;
  const std::int64_t rest = std::int64_t{a} % b;
  return static_cast<std::int32_t>(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

template <class In, class Out, class Operation>
void cast_each(const In* x, std::size_t count, Out* out, const Operation& operation) {
  shared_ranges(count, kElementGrain, [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) out[i] = operation(x[i]);
  });
}

std::int32_t to_int32(float x) {
  constexpr float kBeyond = 2147483648.0f;
  if (x >= -kBeyond && x < kBeyond) return static_cast<std::int32_t>(x);
  if (!std::isfinite(x)) return 0;
  const double rest = std::fmod(std::trunc(static_cast<double>(x)), 4294967296.0);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::int64_t>(rest)));
}

template <class T>
std::uint8_t to_bool(T x) {
  return x != T{0} ? 1 : 0;
}

}  // namespace

void apply_binary(Binary operation, const Axes<2>& axes, const float* a, const float* b,
                  float* out) {
  const auto kernel = kernels().tensor.binary[static_cast<std::size_t>(operation)];
  in_rows(axes, grain_of(operation),
          [&](std::size_t a_at, std::size_t b_at, std::size_t a_step, std::size_t b_step,
              std::size_t count, std::size_t out_at) {
            kernel(a + a_at, a_step, b + b_at, b_step, count, out + out_at);
          });
}

void apply_comparison(Comparison operation, const Axes<2>& axes, const float* a, const float* b,
                      std::uint8_t* out) {
  const auto kernel = kernels().tensor.comparison[static_cast<std::size_t>(operation)];
  in_rows(axes, kElementGrain,
          [&](std::size_t a_at, std::size_t b_at, std::size_t a_step, std::size_t b_step,
              std::size_t count, std::size_t out_at) {
            kernel(a + a_at, a_step, b + b_at, b_step, count, out + out_at);
          });
}

void apply_binary(Binary operation, const Axes<2>& axes, const std::int32_t* a,
                  const std::int32_t* b, std::int32_t* out) {
  using Word = std::uint32_t;
  switch (operation) {
    case Binary::kAdd:
      return plain(axes, a, b, out, wrapping([](Word x, Word y) { return x + y; }));
    case Binary::kSubtract:
      return plain(axes, a, b, out, wrapping([](Word x, Word y) { return x - y; }));
    case Binary::kMultiply:
      return plain(axes, a, b, out, wrapping([](Word x, Word y) { return x * y; }));
    case Binary::kSquaredDifference:
      return plain(axes, a, b, out, wrapping([](Word x, Word y) { return (x - y) * (x - y); }));
    case Binary::kMaximum:
      return plain(axes, a, b, out, [](std::int32_t x, std::int32_t y) { return std::max(x, y); });
    case Binary::kMinimum:
      return plain(axes, a, b, out, [](std::int32_t x, std::int32_t y) { return std::min(x, y); });
    case Binary::kFloorDivide:
      return plain(axes, a, b, out, floor_divide);
    case Binary::kModulo:
      return plain(axes, a, b, out, modulo);
    default:
      throw Error(Code::kUnsupported, "there is no such operation on int32");
  }
}

void apply_comparison(Comparison operation, const Axes<2>& axes, const std::int32_t* a,
                      const std::int32_t* b, std::uint8_t* out) {
  using Word = std::int32_t;
  switch (operation) {
    case Comparison::kEqual:
      return plain(axes, a, b, out, [](Word x, Word y) { return x == y; });
    case Comparison::kNotEqual:
      return plain(axes, a, b, out, [](Word x, Word y) { return x != y; });
    case Comparison::kGreater:
      return plain(axes, a, b, out, [](Word x, Word y) { return x > y; });
    case Comparison::kGreaterEqual:
      return plain(axes, a, b, out, [](Word x, Word y) { return x >= y; });
    case Comparison::kLess:
      return plain(axes, a, b, out, [](Word x, Word y) { return x < y; });
    case Comparison::kLessEqual:
      return plain(axes, a, b, out, [](Word x, Word y) { return x <= y; });
    case Comparison::kCount:
      break;
  }
}

void apply_logical(Logical operation, const Axes<2>& axes, const std::uint8_t* a,
                   const std::uint8_t* b, std::uint8_t* out) {
  using Bool = std::uint8_t;
  switch (operation) {
    case Logical::kAnd:
      return plain(axes, a, b, out, [](Bool x, Bool y) { return (x != 0) & (y != 0); });
    case Logical::kOr:
      return plain(axes, a, b, out, [](Bool x, Bool y) { return (x != 0) | (y != 0); });
    case Logical::kExclusiveOr:
      return plain(axes, a, b, out, [](Bool x, Bool y) { return (x != 0) != (y != 0); });
    case Logical::kCount:
      break;
  }
}

void apply_unary(Unary operation, const float* x, std::size_t count, float p, float q, float* out) {
  const auto kernel = kernels().tensor.unary[static_cast<std::size_t>(operation)];
  shared_ranges(count, grain_of(operation), [&](std::size_t first, std::size_t last) {
    kernel(x + first, last - first, p, q, out + first);
  });
}

void apply_select(const std::uint8_t* condition, const float* a, std::size_t a_step, const float* b,
                  std::size_t b_step, std::size_t count, float* out) {
  const auto kernel = kernels().tensor.select;
  shared_ranges(count, kElementGrain, [&](std::size_t first, std::size_t last) {
    kernel(condition + first, a + first * a_step, a_step, b + first * b_step, b_step, last - first,
           out + first);
  });
}

void cast_values(const float* x, std::size_t count, std::int32_t* out) {
  cast_each(x, count, out, to_int32);
}
void cast_values(const std::int32_t* x, std::size_t count, float* out) {
  cast_each(x, count, out, [](std::int32_t value) { return static_cast<float>(value); });
}
void cast_values(const std::uint8_t* x, std::size_t count, float* out) {
  cast_each(x, count, out, [](std::uint8_t value) { return static_cast<float>(value); });
}
void cast_values(const std::uint8_t* x, std::size_t count, std::int32_t* out) {
  cast_each(x, count, out, [](std::uint8_t value) { return static_cast<std::int32_t>(value); });
}
void cast_values(const float* x, std::size_t count, std::uint8_t* out) {
  cast_each(x, count, out, to_bool<float>);
}
void cast_values(const std::int32_t* x, std::size_t count, std::uint8_t* out) {
  cast_each(x, count, out, to_bool<std::int32_t>);
}

}  // namespace lichen
