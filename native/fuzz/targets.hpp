#pragma once
// What fuzzing gives bytes to: a target for each reader of foreign bytes. Every input must end in
// an error of lichen's own, or in something that can be used without harm; a sanitizer watches.
//
// The first byte says how the rest is looked at. Checksums are made right before, for otherwise
// nearly nothing would come past them.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lichen::fuzz {

using Bytes = std::vector<char>;

// A snapshot of an index or a store, read or mapped.
void snapshot_target(const std::uint8_t* data, std::size_t size);
// A segment of a journal beside a small index.
void journal_target(const std::uint8_t* data, std::size_t size);
// An index file of hnswlib; there are no checksums.
void hnswlib_target(const std::uint8_t* data, std::size_t size);

struct Target {
  const char* name;
  void (*run)(const std::uint8_t* data, std::size_t size);
  std::vector<Bytes> (*seeds)();
};
const std::vector<Target>& targets();

std::vector<Bytes> snapshot_seeds();
std::vector<Bytes> journal_seeds();
std::vector<Bytes> hnswlib_seeds();

}  // namespace lichen::fuzz
