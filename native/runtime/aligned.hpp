#pragma once
// AlignedBuffer: a growable array of trivial elements in a block of memory, which starts on a cache
// line. Growing moves the elements, so pointers into it are valid only until the next resize.
//
// It may also stand for elements in memory of another owner, a mapped file: then growing moves them
// to memory of its own.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "runtime/block.hpp"

namespace lichen {

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
  // Elements that are zero, without touching the memory where that is so already. Throws
  // std::bad_alloc.
  static AlignedBuffer zeros(std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / sizeof(T) - kHugePage) {
      throw std::bad_alloc();
    }
    AlignedBuffer buffer;
    buffer.bytes_ = block_bytes(size * sizeof(T));
    buffer.data_ = static_cast<T*>(allocate_block(buffer.bytes_, true));
    if (buffer.data_ == nullptr) throw std::bad_alloc();
    buffer.size_ = size;
    buffer.capacity_ = buffer.bytes_ / sizeof(T);
    return buffer;
  }
  bool is_view() const { return owner_ != nullptr; }

  void swap(AlignedBuffer& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(bytes_, other.bytes_);
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
    const std::size_t bytes = block_bytes(wanted * sizeof(T));
    T* grown = static_cast<T*>(allocate_block(bytes));
    if (grown == nullptr) throw std::bad_alloc();
    if (size_ > 0) std::memcpy(grown, data_, size_ * sizeof(T));
    release();
    data_ = grown;
    bytes_ = bytes;
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
    if (owner_ == nullptr) free_block(data_, bytes_);
    owner_.reset();
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t bytes_ = 0;              // of the block; capacity_ elements may be less
  std::shared_ptr<const void> owner_;  // of a view
};

}  // namespace lichen
