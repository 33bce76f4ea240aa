#pragma once
// Little-endian numbers and strings one after the other: written behind one another, and taken from
// the front of what a file holds, never beyond its end.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/error.hpp"

namespace lichen {

class ByteWriter {
 public:
  template <class T>
  void put(T value) {
    put_all(&value, 1);
  }
  template <class T>
  void put_all(const T* values, std::size_t count) {
    const auto* const from = reinterpret_cast<const std::uint8_t*>(values);
    bytes.insert(bytes.end(), from, from + count * sizeof(T));
  }
  void put_text(std::string_view text) { put_all(text.data(), text.size()); }

  std::vector<std::uint8_t> bytes;
};

class ByteReader {
 public:
  // `cut_off` is what Error(kFormat) says when more is asked for than there is.
  ByteReader(const std::uint8_t* data, std::size_t bytes, const char* cut_off)
      : start_(data), at_(data), left_(bytes), cut_off_(cut_off) {}

  const std::uint8_t* take(std::uint64_t bytes) {
    if (bytes > left_) throw Error(Code::kFormat, cut_off_);
    const std::uint8_t* const here = at_;
    at_ += bytes;
    left_ -= bytes;
    return here;
  }
  template <class T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> get_all(std::uint64_t count) {
    // First, so that a count that is none takes no memory.
    if (count > left_ / sizeof(T)) throw Error(Code::kFormat, cut_off_);
    std::vector<T> values(count);
    const std::uint8_t* const from = take(count * sizeof(T));
    if (count > 0) std::memcpy(values.data(), from, count * sizeof(T));
    return values;
  }
  std::string_view text(std::uint64_t bytes) {
    return {reinterpret_cast<const char*>(take(bytes)), bytes};
  }
  std::size_t taken() const { return static_cast<std::size_t>(at_ - start_); }
  std::size_t left() const { return left_; }

 private:
  const std::uint8_t* start_;
  const std::uint8_t* at_;
  std::size_t left_;
  const char* cut_off_;
};

}  // namespace lichen
