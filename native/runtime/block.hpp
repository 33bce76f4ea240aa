#pragma once
// Blocks of memory. Large ones are the system's and go back to it when they are freed. The C
// library would keep them: once one of some size was freed, glibc takes the next of that size from
// its arenas, one for each thread, where what lives long keeps what lies below it from being given
// back. Indexes that are opened and closed, saved and published held a process at 265 MB and
// growing that way, at 215 this way.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace lichen {

inline constexpr std::size_t kCacheLine = 64;
// The least pages that there are, and the largest that are not called huge (64-bit ARM).
inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kMostPage = std::size_t{64} << 10;
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
// From here on the memory that huge pages round up does not matter.
inline constexpr std::size_t kLargeBytes = 4 * kHugePage;

// The least multiple of `unit` that is at least `value`.
inline constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Sizes of which the system is asked. AddressSanitizer watches none of those, and so gets all.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t kMappedBytes = std::size_t{128} << 10;
#else
inline constexpr std::size_t kMappedBytes = SIZE_MAX;
#endif

// What there really is of a block of so many bytes.
inline constexpr std::size_t block_bytes(std::size_t bytes) {
  if (bytes >= kLargeBytes) return round_up(bytes, kHugePage);
  // What lies behind the block can be given back where it begins with a page.
  if (bytes >= kHugePage) return round_up(bytes, kMostPage);
  return round_up(bytes, bytes >= kMappedBytes ? kPage : kCacheLine);
}

// Bytes of all blocks that are the system's.
inline std::atomic<std::size_t> mapped_block_bytes{0};

#ifdef __linux__
// Pages of nobody else, all zero, or null. `at_once`: they are made now, which takes the system a
// third of the time that it takes to make each when it is touched.
inline void* map_pages(std::size_t bytes, std::size_t unit, bool at_once) {
  // Room to begin at a multiple of the unit; what is not needed goes back.
  const std::size_t spare = unit > kPage ? unit - kPage : 0;
  void* const mapped =
      ::mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const from = static_cast<char*>(mapped);
  const std::size_t before = round_up(reinterpret_cast<std::uintptr_t>(from), unit) -
                             reinterpret_cast<std::uintptr_t>(from);
  if (before > 0) ::munmap(from, before);
  if (spare > before) ::munmap(from + before + bytes, spare - before);
  mapped_block_bytes.fetch_add(bytes, std::memory_order_relaxed);
  // Only wishes: a system without huge pages gives small ones, and an older one makes them later.
  if (unit == kHugePage) ::madvise(from + before, bytes, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  if (at_once) ::madvise(from + before, bytes, MADV_POPULATE_WRITE);
#endif
  return from + before;
}
#endif

// Memory for `bytes` bytes, aligned to a cache line, a large one on huge pages where the system
// gives them (a scan then reads a quarter faster), or null; to be freed by free_block.
inline void* allocate_block(std::size_t bytes, bool is_zero = false) {
  const std::size_t unit = bytes >= kLargeBytes ? kHugePage : kCacheLine;
  const std::size_t whole = block_bytes(bytes);
  void* memory = nullptr;
#ifdef __linux__
  if (bytes >= kMappedBytes) {
    memory =
        map_pages(whole, bytes >= kHugePage ? kHugePage : kPage, !is_zero && bytes < kLargeBytes);
  }
#endif
  if (bytes < kMappedBytes) {
    memory = std::aligned_alloc(unit, whole);
    if (memory != nullptr && is_zero) std::memset(memory, 0, whole);
  }
  return memory;
}

// `bytes` as it was given to allocate_block.
inline void free_block(void* memory, std::size_t bytes) noexcept {
  if (memory == nullptr) return;
#ifdef __linux__
  if (bytes >= kMappedBytes) {
    ::munmap(memory, block_bytes(bytes));
    mapped_block_bytes.fetch_sub(block_bytes(bytes), std::memory_order_relaxed);
    return;
  }
#endif
  std::free(memory);
}

}  // namespace lichen
