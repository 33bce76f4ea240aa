#pragma once
// What targets share: where their input lies, since readers take a path, and what is done with an
// index that opens.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "fuzz/targets.hpp"
#include "index/hnsw_index.hpp"
#include "runtime/error.hpp"
#include "test/files.hpp"

namespace lichen::fuzz {

// One folder a process.
inline const test::ScratchFolder& workplace() {
  static const test::ScratchFolder folder;
  return folder;
}

inline Bytes bytes_of(const std::uint8_t* data, std::size_t size) {
  return Bytes(data, data + size);
}

// What the work may end with besides success. Nothing else: a std::length_error, say, would mean
// that a size was believed.
template <class Work>
void expect_own_errors(const Work& work) {
  try {
    work();
  } catch (const Error&) {
  }
}

// Puts to an index whatever leads through all that its file holds, then changes it.
void use(VectorIndex& index);

}  // namespace lichen::fuzz
