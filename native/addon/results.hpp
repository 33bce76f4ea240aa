#pragma once
// Results of a search on their way to JavaScript: rows become keys, distances scores.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index/vector_index.hpp"

namespace lichen::addon {

// Where a search writes: an integer key or a string a slot, and a score.
struct Output {
  double* keys = nullptr;
  std::string* strings = nullptr;
  float* scores = nullptr;

  Output at(std::size_t slot) const {
    return {keys == nullptr ? nullptr : keys + slot, strings == nullptr ? nullptr : strings + slot,
            scores + slot};
  }
};

// Empty slots hold key -1 or '', and score NaN. Returns how many hits there are, or nothing if rows
// have got new numbers since `layout`. Throws Error(kArgument) if the slots are not of the type
// that the index's keys need.
std::optional<std::uint32_t> write_hits(const VectorIndex& index, std::uint64_t layout,
                                        const Hit* hits, std::size_t count, std::size_t k,
                                        const Output& out);

// Searches, again if rows get new numbers meanwhile, and writes the results of each query.
template <class Search>
void search_and_write(const VectorIndex& index, std::size_t queries, std::size_t k,
                      const Search& search, const Hit* hits, std::uint32_t* counts,
                      const Output& out) {
  for (bool whole = false; !whole;) {
    const std::uint64_t layout = index.layout();
    search();
    whole = true;
    for (std::size_t q = 0; whole && q < queries; ++q) {
      const auto written = write_hits(index, layout, hits + q * k, counts[q], k, out.at(q * k));
      whole = written.has_value();
      if (whole) counts[q] = *written;
    }
  }
}

// Searches for one query and writes its results; returns how many there are.
std::uint32_t search_one(const VectorIndex& index, const float* query, const SearchOptions& options,
                         const Output& out);

// Where results go: keys into a Float64Array of at least `slots` places, or, if null is given,
// into strings; and as many scores.
Output output_argument(const Napi::Value& keys, const Napi::Value& scores, std::size_t slots,
                       std::vector<std::string>& strings);

// An array of the first `count` strings.
Napi::Value strings_value(Napi::Env env, const std::vector<std::string>& strings,
                          std::size_t count);

}  // namespace lichen::addon
