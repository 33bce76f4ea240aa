#pragma once
// Whether a computation gives the same bits whatever the number of threads.

#include <cstring>
#include <type_traits>

#include "runtime/shared_loop.hpp"
#include "test/check.hpp"

namespace lichen::test {

// What compute() gives with one thread, an array of plain values; fails unless it is the same with
// three.
template <class Compute>
auto on_threads(const Compute& compute) {
  set_loop_threads(1);
  const auto one = compute();
  set_loop_threads(3);
  const auto three = compute();
  set_loop_threads(0);
  static_assert(std::is_trivially_copyable_v<std::decay_t<decltype(one[0])>>);
  CHECK(one.size() == three.size());
  CHECK(std::memcmp(one.data(), three.data(), one.size() * sizeof(one[0])) == 0);
  return one;
}

}  // namespace lichen::test
