#pragma once
// What this process holds of memory that is not V8's, and what the C library keeps for later
// besides: tells memory that leaks from memory that lies fragmented.

#include <cstddef>

#include "runtime/block.hpp"

#ifdef __GLIBC__
#include <dlfcn.h>
#endif

namespace lichen {

struct MemoryCounts {
  // Bytes; both 0 where the C library does not tell.
  std::size_t used = 0;
  std::size_t kept = 0;
};

inline MemoryCounts memory_counts() {
#ifdef __GLIBC__
  // mallinfo2 came with glibc 2.33, and what is built here runs on 2.28.
  struct Info {
    std::size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks,
        keepcost;
  };
  static const auto ask = reinterpret_cast<Info (*)()>(::dlsym(RTLD_DEFAULT, "mallinfo2"));
  if (ask == nullptr) return {};
  const Info info = ask();
  const std::size_t blocks = mapped_block_bytes.load(std::memory_order_relaxed);
  return {info.uordblks + info.hblkhd + blocks, info.fordblks};
#else
  return {};
#endif
}

}  // namespace lichen
