#pragma once
// What narrows a search: an object {oversample, filter, layout, exclude, ends, where, groupBy,
// groupSize}, each of which may be left out; or undefined.
//   filter     Uint8Array, a bit a row; layout: whose rows these are, 0 for the present one
//   exclude    Float64Array or strings, keys not to be found; ends: Uint32Array, where the keys of
//              each query end
//   where      [key, program, strings], a condition; see predicate_argument
//   groupBy    number of an attribute; groupSize: at most so many results of a group

#include <napi.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "addon/arguments.hpp"
#include "index/vector_index.hpp"

namespace lichen::addon {

class Restrictions {
 public:
  // For the thread that searches now, bits of the filter are used where they lie; for another one
  // they are copied.
  enum class For { kThisThread, kAnother };
  Restrictions() = default;
  // Reading it may run JavaScript. Throws Error(kArgument).
  Restrictions(const Napi::Value& value, std::size_t queries, For thread);

  // The options refer to this object, which must stay where it is.
  void give_to(SearchOptions& options) const;

 private:
  std::size_t oversample_ = 0;
  std::uint64_t layout_ = 0;
  std::vector<std::uint8_t> bits_;
  std::optional<RowFilter> filter_;
  KeyBatch exclude_;
  std::vector<std::size_t> offsets_;  // empty: none
  std::optional<Condition> where_;
  std::optional<std::size_t> group_by_;
  std::size_t group_size_ = 1;
};

// Options of a search by its ef: 0 = the index's default, -1 = an exact search, between 0 and 1 =
// the recall wanted. Throws Error(kArgument).
SearchOptions beam_argument(const Napi::Value& ef);
SearchOptions beam_of(double ef);

// [key, program, strings]
Condition condition_argument(const Napi::Value& value);

}  // namespace lichen::addon
