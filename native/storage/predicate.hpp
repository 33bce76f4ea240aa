#pragma once
// Predicate: a condition on the attributes of a row, as the caller says it. Strings stand as such:
// AttributeMatcher looks up their codes in the table that the condition is put to.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace lichen {

inline constexpr std::size_t kMaxPredicateDepth = 128;

enum class PredicateKind : std::uint32_t {
  kAnd = 0,  // all children hold; true without children
  kOr = 1,   // one child holds; false without children
  kNot = 2,  // the one child does not hold
  // The leaves do not hold for a row without a value in `column`.
  kNumberRange = 3,  // kNumber: between low and high
  kNumberIn = 4,     // kNumber: one of `numbers`
  kCategoryIn = 5,   // kCategory: one of `strings`
  kTagsAny = 6,      // kTags: at least one of `strings`
  kTagsAll = 7,      // kTags: each of `strings`; with none of them as kPresent
  kPresent = 8,      // the row has a value
};

struct Predicate {
  PredicateKind kind = PredicateKind::kAnd;
  std::vector<Predicate> children;
  std::uint32_t column = 0;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above_low = false;   // low itself is not in the range
  bool below_high = false;  // high itself is not in the range
  std::vector<double> numbers;
  std::vector<std::string> strings;
};

}  // namespace lichen
