#pragma once
// A device made of one thread of the host, for tests: blocks run one after another, the threads of
// a block as coroutines that give way where threads of a device wait for each other. What needs a
// whole warp is done by the lane that comes last, for all. A kernel whose threads wait for ever is
// told, not waited for.

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "codecs/half.hpp"

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(16) float4 {
  float x, y, z, w;
};

namespace lichen::cuda::simulated {

// Those who wait for each other.
struct Meeting {
  unsigned size = 0;
  unsigned arrived = 0;
  unsigned turn = 0;
  void* given[32] = {};
};

class Block {
 public:
  Block(dim3 index, dim3 grid, unsigned threads, std::size_t shared)
      : index_(index),
        grid_(grid),
        threads_(threads),
        shared_(shared + 128),
        warps_((threads + 31) / 32) {
    all_.size = threads;
    for (unsigned w = 0; w < warps_.size(); ++w) warps_[w].size = std::min(32u, threads - 32 * w);
  }

  void run(const std::function<void()>& kernel) {
    kernel_ = &kernel;
    Block* const outer = current();
    current() = this;
    fibers_.resize(threads_);
    for (unsigned t = 0; t < threads_; ++t) start(t);
    unsigned left = threads_;
    while (left > 0) {
      moved_ = false;
      for (now_ = 0; now_ < threads_; ++now_) {
        Fiber& fiber = fibers_[now_];
        if (fiber.done) continue;
        // Contexts know of signals and ask the system about them at each switch: only the first one
        // is theirs.
        if (_setjmp(main_) == 0) {
          if (fiber.started) _longjmp(fiber.place, 1);
          fiber.started = true;
          setcontext(&fiber.context);
        }
        if (fiber.done) {
          --left;
          moved_ = true;
        }
      }
      if (!moved_) {
        std::fputs("simulated device: threads wait for each other for ever\n", stderr);
        std::abort();
      }
    }
    current() = outer;
  }

  static Block*& current() {
    static thread_local Block* block = nullptr;
    return block;
  }
  unsigned thread() const { return now_; }
  dim3 index() const { return index_; }
  dim3 grid() const { return grid_; }
  unsigned threads() const { return threads_; }
  unsigned char* shared() {
    const auto address = reinterpret_cast<std::uintptr_t>(shared_.data());
    return shared_.data() + (128 - address % 128) % 128;
  }

  // The last to come does `act` with what all have given; then all go on.
  template <class Act>
  void meet(Meeting& meeting, void* given, Act&& act) {
    meeting.given[now_ % 32] = given;
    moved_ = true;
    const unsigned turn = meeting.turn;
    if (++meeting.arrived == meeting.size) {
      act(meeting.given);
      meeting.arrived = 0;
      ++meeting.turn;
      return;
    }
    while (meeting.turn == turn) {
      if (_setjmp(fibers_[now_].place) == 0) _longjmp(main_, 1);
    }
  }
  Meeting& warp() { return warps_[now_ / 32]; }
  Meeting& all() { return all_; }

 private:
  static constexpr std::size_t kStack = 64 * 1024;
  struct Fiber {
    ucontext_t context;
    jmp_buf place;
    bool started = false;
    bool done = false;
  };

  void start(unsigned t) {
    Fiber& fiber = fibers_[t];
    // Made once a thread: blocks are many.
    static thread_local std::vector<std::unique_ptr<unsigned char[]>> stacks;
    if (stacks.size() <= t) stacks.emplace_back(new unsigned char[kStack]);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stacks[t].get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &Block::enter, 0);
  }
  static void enter() {
    Block* const block = current();
    (*block->kernel_)();
    block->fibers_[block->now_].done = true;
    _longjmp(block->main_, 1);
  }

  dim3 index_, grid_;
  unsigned threads_;
  std::vector<unsigned char> shared_;
  std::vector<Meeting> warps_;
  Meeting all_;
  std::vector<Fiber> fibers_;
  jmp_buf main_;
  const std::function<void()>* kernel_ = nullptr;
  unsigned now_ = 0;
  bool moved_ = false;
};

inline void launch(dim3 grid, unsigned threads, std::size_t shared,
                   const std::function<void()>& kernel) {
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) Block({x, y, z}, grid, threads, shared).run(kernel);
    }
  }
}

}  // namespace lichen::cuda::simulated

#define LICHEN_KERNEL static
#define LICHEN_DEVICE static inline
#define LICHEN_SHARED(name) \
  unsigned char* const name = ::lichen::cuda::simulated::Block::current()->shared()
#define LICHEN_LAUNCH(kernel, grid, threads, shared, stream, ...) \
  (static_cast<void>(stream),                                     \
   ::lichen::cuda::simulated::launch(grid, threads, shared, [&] { kernel(__VA_ARGS__); }))
#define __launch_bounds__(...)
#define threadIdx (::dim3(::lichen::cuda::simulated::Block::current()->thread()))
#define blockIdx (::lichen::cuda::simulated::Block::current()->index())
#define gridDim (::lichen::cuda::simulated::Block::current()->grid())
#define blockDim (::dim3(::lichen::cuda::simulated::Block::current()->threads()))

inline void __syncthreads() {
  auto* const block = lichen::cuda::simulated::Block::current();
  block->meet(block->all(), nullptr, [](void**) {});
}
inline void __syncwarp() {
  auto* const block = lichen::cuda::simulated::Block::current();
  block->meet(block->warp(), nullptr, [](void**) {});
}
// Threads of the host may run blocks of their own at the same time, and share what they count in.
inline unsigned atomicAdd(unsigned* to, unsigned value) {
  return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}
inline unsigned atomicOr(unsigned* to, unsigned value) {
  return __atomic_fetch_or(to, value, __ATOMIC_RELAXED);
}
inline unsigned atomicMax(unsigned* to, unsigned value) {
  const unsigned before = *to;
  *to = std::max(before, value);
  return before;
}
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline int __popcll(unsigned long long bits) { return std::popcount(bits); }

namespace lichen::cuda {

inline void copy_16(void* to, const void* from, bool is_there) {
  if (is_there)
    std::memcpy(to, from, 16);
  else
    std::memset(to, 0, 16);
}
inline void end_copies() {}
template <int N>
inline void wait_copies() {}

inline void load_matrices(std::uint32_t (&out)[4], const void* row) {
  auto* const block = simulated::Block::current();
  struct Given {
    std::uint32_t* out;
    const void* row;
  } given{out, row};
  block->meet(block->warp(), &given, [](void** all) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int m = 0; m < 4; ++m) {
        const auto* from =
            static_cast<const unsigned char*>(static_cast<Given*>(all[8 * m + lane / 4])->row);
        std::memcpy(&static_cast<Given*>(all[lane])->out[m], from + 4 * (lane % 4), 4);
      }
    }
  });
}

// What one lane gives to a product of a warp.
template <class Sum>
struct Fragments {
  Sum* c;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

// Value types: how 4 bytes are multiplied by 4 bytes.
template <class Value>
inline void warp_product(typename Value::Sum* c, const std::uint32_t* a, const std::uint32_t* b) {
  using Sum = typename Value::Sum;
  auto* const block = simulated::Block::current();
  Fragments<Sum> given{c, a, b};
  block->meet(block->warp(), &given, [](void** all) {
    const auto of = [&](int lane) { return static_cast<Fragments<Sum>*>(all[lane]); };
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        Sum sum = 0;
        for (int word = 0; word < 8; ++word) {
          const std::uint32_t left = of(4 * (row % 8) + word % 4)->a[row / 8 + 2 * (word / 4)];
          const std::uint32_t right = of(4 * column + word % 4)->b[word / 4];
          sum += Value::product(left, right);
        }
        of(4 * (row % 8) + column / 2)->c[2 * (row / 8) + column % 2] += sum;
      }
    }
  });
}

struct F16Product {
  using Sum = float;
  static float product(std::uint32_t a, std::uint32_t b) {
    return float_from_half(static_cast<std::uint16_t>(a)) *
               float_from_half(static_cast<std::uint16_t>(b)) +
           float_from_half(static_cast<std::uint16_t>(a >> 16)) *
               float_from_half(static_cast<std::uint16_t>(b >> 16));
  }
  static void add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    warp_product<F16Product>(c, a, b);
  }
};
struct Bf16Product {
  using Sum = float;
  static float product(std::uint32_t a, std::uint32_t b) {
    return __uint_as_float(a << 16) * __uint_as_float(b << 16) +
           __uint_as_float(a & 0xFFFF0000u) * __uint_as_float(b & 0xFFFF0000u);
  }
  static void add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    warp_product<Bf16Product>(c, a, b);
  }
};
struct F32Product {
  using Sum = float;
  static float product(std::uint32_t a, std::uint32_t b) {
    return __uint_as_float(a & 0xFFFFE000u) * __uint_as_float(b & 0xFFFFE000u);
  }
  static void add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    warp_product<F32Product>(c, a, b);
  }
};
struct I8Product {
  using Sum = int;
  static int product(std::uint32_t a, std::uint32_t b) {
    int sum = 0;
    for (int i = 0; i < 32; i += 8)
      sum += static_cast<std::uint8_t>(a >> i) * static_cast<std::int8_t>(b >> i);
    return sum;
  }
  static void add(int (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    warp_product<I8Product>(c, a, b);
  }
};

// Every lane gets what is made of all lanes' values.
template <class Join>
inline float warp_joined(float value, Join&& join) {
  auto* const block = simulated::Block::current();
  float shared = value;
  block->meet(block->warp(), &shared, [&](void** all) {
    float joined = *static_cast<float*>(all[0]);
    for (int lane = 1; lane < 32; ++lane) joined = join(joined, *static_cast<float*>(all[lane]));
    for (int lane = 0; lane < 32; ++lane) *static_cast<float*>(all[lane]) = joined;
  });
  return shared;
}
inline float warp_add(float value) {
  return warp_joined(value, [](float a, float b) { return a + b; });
}
inline float warp_greatest(float value) {
  return warp_joined(value, [](float a, float b) { return a > b ? a : b; });
}

}  // namespace lichen::cuda
