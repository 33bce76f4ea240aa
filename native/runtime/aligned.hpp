#pragma once
// AlignedBuffer: a growable array of trivial elements that starts on a cache line, a large one on
// huge pages where the system gives them (a scan then reads a quarter faster). Growing moves the
// elements, so pointers into it are valid only until the next resize.
//
// It may also stand for elements in memory of another owner, a mapped file: then growing moves them
// to memory of its own.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace lichen {

inline constexpr std::size_t kCacheLine = 64;
// The least multiple of `unit` that is at least `value`.
inline constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
// From here on the memory that huge pages round up does not matter.
inline constexpr std::size_t kLargeBytes = 4 * kHugePage;

// Memory for `bytes` bytes, aligned to a cache line, or null; to be freed by std::free. `bytes`
// becomes what there really is.
inline void* allocate_aligned(std::size_t& bytes) {
  const std::size_t unit = bytes >= kLargeBytes ? kHugePage : kCacheLine;
  bytes = round_up(bytes, unit);
  void* const memory = std::aligned_alloc(unit, bytes);
#ifdef __linux__
  // Only a wish: a system without huge pages gives small ones.
  if (memory != nullptr && unit == kHugePage) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  AlignedBuffer(const AlignedBuffer& other) { append(other); }
  AlignedBuffer& operator=(const AlignedBuffer& other) {
    AlignedBuffer(other).swap(*this);
    return *this;
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept { swap(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    AlignedBuffer(std::move(other)).swap(*this);
    return *this;
  }
  ~AlignedBuffer() { release(); }

  // Elements that lie in an owner's memory, which lives as long as they are used.
  static AlignedBuffer view(T* data, std::size_t size, std::shared_ptr<const void> owner) {
    AlignedBuffer buffer;
    buffer.data_ = data;
    buffer.size_ = buffer.capacity_ = size;
    buffer.owner_ = std::move(owner);
    return buffer;
  }
  bool is_view() const { return owner_ != nullptr; }

  void swap(AlignedBuffer& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return capacity_ * sizeof(T); }
  std::size_t capacity() const { return capacity_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

  // Makes room for `wanted` elements without changing the size. Throws std::bad_alloc, changing
  // nothing.
  void reserve(std::size_t wanted) {
    if (wanted <= capacity_) return;
    if (wanted > std::numeric_limits<std::size_t>::max() / sizeof(T) - kHugePage) {
      throw std::bad_alloc();
    }
    std::size_t bytes = wanted * sizeof(T);
    T* grown = static_cast<T*>(allocate_aligned(bytes));
    if (grown == nullptr) throw std::bad_alloc();
    if (size_ > 0) std::memcpy(grown, data_, size_ * sizeof(T));
    release();
    data_ = grown;
    capacity_ = bytes / sizeof(T);
  }

  // Like reserve, but grows by half at least, so that repeated appends cost amortized constant
  // time.
  void reserve_growing(std::size_t wanted) {
    if (wanted <= capacity_) return;
    reserve(size_ == 0 ? wanted : std::max(wanted, capacity_ + capacity_ / 2));
  }

  // A copy with the room that reserve_growing would make.
  AlignedBuffer grown(std::size_t wanted) const {
    AlignedBuffer copy;
    copy.reserve(wanted <= capacity_ ? capacity_
                 : size_ == 0        ? wanted
                                     : std::max(wanted, capacity_ + capacity_ / 2));
    copy.append(*this);
    return copy;
  }

  // New elements hold `fill`.
  void resize(std::size_t wanted, T fill) {
    reserve_growing(wanted);
    for (std::size_t i = size_; i < wanted; ++i) data_[i] = fill;
    size_ = wanted;
  }

 private:
  void append(const AlignedBuffer& other) {
    reserve(size_ + other.size_);
    if (other.size_ > 0) std::memcpy(data_ + size_, other.data_, other.size_ * sizeof(T));
    size_ += other.size_;
  }

  void release() {
    if (owner_ == nullptr) std::free(data_);
    owner_.reset();
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::shared_ptr<const void> owner_;  // of a view
};

}  // namespace lichen
