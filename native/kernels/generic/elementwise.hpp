// Elementwise operations as plain loops, which the compiler vectorizes for each instruction set.

// Iterations do not depend on one another: an output is an input, or lies apart.
#ifdef __clang__
#define LICHEN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LICHEN_INDEPENDENT _Pragma("GCC ivdep")
#endif

template <class...>
struct OperationList {};

// ---- of two values

struct Add {
  static float of(float a, float b) { return a + b; }
};
struct Subtract {
  static float of(float a, float b) { return a - b; }
};
struct Multiply {
  static float of(float a, float b) { return a * b; }
};
struct Divide {
  static float of(float a, float b) { return a / b; }
};
struct Maximum {
  static float of(float a, float b) {
    const float most = a > b ? a : b;  // b where one of them is NaN
    return a != a ? a : most;
  }
};
struct Minimum {
  static float of(float a, float b) {
    const float least = a < b ? a : b;
    return a != a ? a : least;
  }
};
struct SquaredDifference {
  static float of(float a, float b) { return (a - b) * (a - b); }
};
struct Power {
  // As in JavaScript: NaN to the power of 0 is 1, but 1 to the power of NaN is NaN, and 1 or −1 to
  // that of infinity as well.
  static float of(float a, float b) {
    const bool undefined =
        b != b || (magnitude_of(a) == 1.0f && magnitude_of(b) == __builtin_inff());
    return undefined ? __builtin_nanf("") : __builtin_powf(a, b);
  }
};
struct FloorDivide {
  // A quotient too small for a float has a sign.
  static float of(float a, float b) {
    return static_cast<float>(__builtin_floor(static_cast<double>(a) / b));
  }
};
struct Modulo {
  // With the sign of b.
  static float of(float a, float b) {
    const float rest = __builtin_fmodf(a, b);
    const bool same_sign = (a < 0.0f) == (b < 0.0f);
    return same_sign ? rest : __builtin_fmodf(rest + b, b);
  }
};
struct Prelu {
  static float of(float a, float b) { return a < 0.0f ? a * b : a; }
};
struct EluGrad {
  static float of(float a, float b) { return b >= 0.0f ? a : a * (b + 1.0f); }
};

using BinaryOperations =
    OperationList<Add, Subtract, Multiply, Divide, Maximum, Minimum, SquaredDifference, Power,
                  FloorDivide, Modulo, Prelu, EluGrad>;

struct Equal {
  static bool of(float a, float b) { return a == b; }
};
struct NotEqual {
  static bool of(float a, float b) { return a != b; }
};
struct Greater {
  static bool of(float a, float b) { return a > b; }
};
struct GreaterEqual {
  static bool of(float a, float b) { return a >= b; }
};
struct Less {
  static bool of(float a, float b) { return a < b; }
};
struct LessEqual {
  static bool of(float a, float b) { return a <= b; }
};

using ComparisonOperations = OperationList<Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual>;

template <class Operation, class Out>
void elementwise(const float* a, std::size_t a_step, const float* b, std::size_t b_step,
                 std::size_t count, Out* out) {
  if (a_step == 0) {
    const float x = *a;
    if (b_step == 0) {
      const Out value = Operation::of(x, *b);
      for (std::size_t i = 0; i < count; ++i) out[i] = value;
      return;
    }
    LICHEN_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i) out[i] = Operation::of(x, b[i]);
  } else if (b_step == 0) {
    const float y = *b;
    LICHEN_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i) out[i] = Operation::of(a[i], y);
  } else {
    LICHEN_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i) out[i] = Operation::of(a[i], b[i]);
  }
}

// ---- of one value

#define LICHEN_UNARY(Name, expression)                                                           \
  struct Name {                                                                                  \
    static LICHEN_INLINE float of(float x, [[maybe_unused]] float p, [[maybe_unused]] float q) { \
      return expression;                                                                         \
    }                                                                                            \
  };

constexpr float kSeluScale = 1.0507009873554805f;
constexpr float kSeluSlope = 1.7580993408473768f;  // the scale times its alpha

LICHEN_UNARY(NegateOf, -x)
LICHEN_UNARY(AbsoluteOf, magnitude_of(x))
LICHEN_UNARY(SignOf, (x > 0.0f ? 1.0f : 0.0f) - (x < 0.0f ? 1.0f : 0.0f))
LICHEN_UNARY(SquareOf, x* x)
LICHEN_UNARY(SquareRootOf, __builtin_sqrtf(x))
LICHEN_UNARY(InverseSquareRootOf, 1.0f / __builtin_sqrtf(x))
LICHEN_UNARY(ReciprocalOf, 1.0f / x)
LICHEN_UNARY(ExpOf, exp_of(x))
LICHEN_UNARY(Expm1Of, expm1_of(x))
LICHEN_UNARY(LogOf, log_of(x))
LICHEN_UNARY(Log1pOf, log1p_of(x))
LICHEN_UNARY(SigmoidOf, sigmoid_of(x))
LICHEN_UNARY(TanhOf, tanh_of(x))
LICHEN_UNARY(ErfOf, erf_of(x))
LICHEN_UNARY(SoftplusOf, softplus_of(x))
LICHEN_UNARY(ReluOf, x < 0.0f ? 0.0f : x)
LICHEN_UNARY(ClipOf, x < p ? p : (x > q ? q : x))
LICHEN_UNARY(Relu6Of, ClipOf::of(x, 0.0f, 6.0f))
LICHEN_UNARY(LeakyReluOf, x < 0.0f ? p * x : x)
LICHEN_UNARY(EluOf, choose(x < 0.0f, expm1_of(x), x))
LICHEN_UNARY(SeluOf, choose(x < 0.0f, kSeluSlope* expm1_of(x), kSeluScale* x))
LICHEN_UNARY(StepOf, x != x ? x : (x > 0.0f ? 1.0f : p))
LICHEN_UNARY(FloorOf, __builtin_floorf(x))
LICHEN_UNARY(CeilOf, __builtin_ceilf(x))
LICHEN_UNARY(RoundOf, __builtin_rintf(x))

using UnaryOperations =
    OperationList<NegateOf, AbsoluteOf, SignOf, SquareOf, SquareRootOf, InverseSquareRootOf,
                  ReciprocalOf, ExpOf, Expm1Of, LogOf, Log1pOf, SigmoidOf, TanhOf, ErfOf,
                  SoftplusOf, ReluOf, Relu6Of, LeakyReluOf, EluOf, SeluOf, StepOf, ClipOf, FloorOf,
                  CeilOf, RoundOf>;

template <class Operation>
void unary(const float* x, std::size_t count, float p, float q, float* out) {
  LICHEN_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) out[i] = Operation::of(x[i], p, q);
}

void select_values(const std::uint8_t* condition, const float* a, std::size_t a_step,
                   const float* b, std::size_t b_step, std::size_t count, float* out) {
  if (a_step != 0 && b_step != 0) {
    LICHEN_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i) {
      const float x = a[i];
      const float y = b[i];
      out[i] = condition[i] != 0 ? x : y;
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = condition[i] != 0 ? a[i * a_step] : b[i * b_step];
  }
}
