#pragma once
// Progress: how far a long operation is, and the wish that it stop. Shared by the thread that works
// and the one that asks.

#include <atomic>
#include <cstdint>

namespace lichen {

struct Progress {
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> total{0};  // 0 while it is not known
  std::atomic<bool> cancel{false};
};

}  // namespace lichen
