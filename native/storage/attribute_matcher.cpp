#include "storage/attribute_matcher.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/kernels.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// Words that are evaluated at a time: a block's column and its words of every level stay in the L1
// cache.
constexpr std::size_t kBlockWords = 32;

[[noreturn]] void bad_condition(const std::string& message) {
  throw Error(Code::kArgument, message);
}

AttributeKind kind_asked(PredicateKind kind) {
  if (kind == PredicateKind::kNumberRange || kind == PredicateKind::kNumberIn) {
    return AttributeKind::kNumber;
  }
  return kind == PredicateKind::kCategoryIn ? AttributeKind::kCategory : AttributeKind::kTags;
}

template <class T, std::size_t N>
inline bool equals_one(const std::array<T, N>& few, T value) {
  bool found = false;
  for (const T one : few) found |= value == one;
  return found;
}

// Whether an ascending set, which is not empty, has the value. Without a branch that depends on it,
// as a processor cannot foresee it. NaN is in no set.
bool contains(const std::vector<double>& ascending, double value) {
  const double* at = ascending.data();
  for (std::size_t left = ascending.size(); left > 1;) {
    const std::size_t half = left / 2;
    at += at[half] <= value ? half : 0;
    left -= half;
  }
  return *at == value;
}

// A bit for each of `count` rows (at most 64) whose value passes.
template <class T, class Test>
inline std::uint64_t bits_one_by_one(const T* values, std::size_t count, Test&& test) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits |= std::uint64_t{test(values[i])} << i;
  return bits;
}

// The same by a kernel, which takes 64 values.
template <class T, class Kernel>
inline std::uint64_t bits_by(const T* values, std::size_t count, Kernel&& kernel) {
  if (count == 64) return kernel(values);
  std::array<T, 64> padded = {};
  std::copy_n(values, count, padded.begin());
  return kernel(padded.data()) & ((std::uint64_t{1} << count) - 1);
}

}  // namespace

// Rows [64 first_word, end) of a table, in at most kBlockWords words.
struct AttributeMatcher::Block {
  std::size_t first_word;
  std::size_t words;
  std::size_t end;

  // The words of a leaf: bits(row, count) gives those of `count` rows from `row` on. Words of which
  // nothing is wanted are left out.
  template <class Bits>
  void fill(const std::uint64_t* wanted, std::uint64_t* out, Bits&& bits) const {
    for (std::size_t w = 0; w < words; ++w) {
      const std::size_t row = (first_word + w) * 64;
      out[w] = wanted[w] == 0 ? 0 : bits(row, std::min<std::size_t>(64, end - row));
    }
  }
};

AttributeMatcher::AttributeMatcher(const AttributeTable& table, const Predicate& predicate)
    : root_(compile(table, predicate, 0)) {}

AttributeMatcher::Node AttributeMatcher::compile(const AttributeTable& table,
                                                 const Predicate& predicate, std::size_t depth) {
  if (depth > kMaxPredicateDepth) bad_condition("the condition is nested too deep");
  Node node;
  node.kind = predicate.kind;
  if (predicate.kind <= PredicateKind::kNot) {
    if (predicate.kind == PredicateKind::kNot && predicate.children.size() != 1) {
      bad_condition("a negation has one condition");
    }
    for (const Predicate& child : predicate.children) {
      node.children.push_back(compile(table, child, depth + 1));
    }
    return node;
  }
  if (predicate.column >= table.columns().size()) {
    bad_condition("there is no attribute " + std::to_string(predicate.column));
  }
  const AttributeTable::Column& column = table.columns()[predicate.column];
  node.column = &column;
  if (predicate.kind == PredicateKind::kPresent) return node;
  if (predicate.kind > PredicateKind::kPresent || column.spec.kind != kind_asked(predicate.kind)) {
    bad_condition("the condition does not fit attribute '" + column.spec.name + "'");
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (predicate.kind == PredicateKind::kNumberRange) {
    if (std::isnan(predicate.low) || std::isnan(predicate.high)) bad_condition("a limit is NaN");
    // An open end is the closed one at the next number.
    node.low = predicate.above_low ? std::nextafter(predicate.low, kInfinity) : predicate.low;
    node.high = predicate.below_high ? std::nextafter(predicate.high, -kInfinity) : predicate.high;
    node.never = (predicate.above_low && predicate.low == kInfinity) ||
                 (predicate.below_high && predicate.high == -kInfinity) || node.low > node.high;
  } else if (predicate.kind == PredicateKind::kNumberIn) {
    node.numbers = predicate.numbers;
    for (const double number : node.numbers) {
      if (std::isnan(number)) bad_condition("a number of a set is NaN");
    }
    std::sort(node.numbers.begin(), node.numbers.end());
    node.never = node.numbers.empty();
    if (node.numbers.size() == 1) {
      node.kind = PredicateKind::kNumberRange;
      node.low = node.high = node.numbers[0];
    }
  } else {
    compile_strings(predicate, node);
  }
  return node;
}

void AttributeMatcher::compile_strings(const Predicate& predicate, Node& node) {
  const bool category = predicate.kind == PredicateKind::kCategoryIn;
  const bool all = predicate.kind == PredicateKind::kTagsAll;
  const Dictionary& dictionary = node.column->dictionary;
  std::vector<std::uint32_t> codes;
  for (const std::string& string : predicate.strings) {
    const std::uint32_t number = dictionary.find(string);
    if (number != Dictionary::kNone) {
      codes.push_back(category ? number + 1 : number);
    } else if (all) {
      node.never = true;
    }
  }
  if (all && predicate.strings.empty()) {
    node.kind = PredicateKind::kPresent;
    return;
  }
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  node.codes = codes.size();
  if (codes.empty()) {
    node.never = true;
  } else if (codes.size() <= kFewValues) {
    node.few.fill(codes.back());
    std::copy(codes.begin(), codes.end(), node.few.begin());
  } else {
    node.table.assign(dictionary.size() + 1, 0);
    for (const std::uint32_t code : codes) node.table[code] = 1;
  }
  if (!category) {
    for (const std::uint32_t tag : codes) node.signature |= tag_bit(tag);
  }
}

inline bool AttributeMatcher::in_set(const Node& node, std::uint32_t code) {
  return node.table.empty() ? equals_one(node.few, code) : node.table[code] != 0;
}

// The look at a row's list, where signatures do not decide.
bool AttributeMatcher::has_tags(const Node& node, std::size_t row) {
  const TagColumn& tags = node.column->tags;
  const std::uint32_t* const list = tags.list(row);
  std::size_t found = 0;
  for (std::size_t i = 0; i < tags.list_size(row); ++i) found += in_set(node, list[i]);
  return node.kind == PredicateKind::kTagsAll ? found == node.codes : found > 0;
}

void AttributeMatcher::evaluate_leaf(const Node& node, const Block& block,
                                     const std::uint64_t* wanted, std::uint64_t* words) {
  const AttributeTable::Column& column = *node.column;
  const MatchKernels& match = kernels().match;
  const auto fill = [&](const auto* values, auto&& bits) {
    block.fill(wanted, words,
               [&](std::size_t row, std::size_t count) { return bits(values + row, count); });
  };
  const auto numbers = [&](double low, double high) {
    fill(column.numbers.data(), [&](const double* values, std::size_t count) {
      return bits_by(values, count, [&](const double* of) { return match.range(of, low, high); });
    });
  };
  const auto tags = [&](auto* kernel, std::uint64_t signature) {
    block.fill(wanted, words, [&](std::size_t row, std::size_t count) {
      std::uint64_t bits = bits_by(column.tags.signatures() + row, count,
                                   [&](const std::uint64_t* of) { return kernel(of, signature); });
      if (!column.tags.listed() || node.kind == PredicateKind::kPresent) return bits;
      for (std::uint64_t rest = bits; rest != 0; rest &= rest - 1) {
        const auto bit = static_cast<std::size_t>(__builtin_ctzll(rest));
        if (!has_tags(node, row + bit)) bits ^= std::uint64_t{1} << bit;
      }
      return bits;
    });
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (node.kind) {
    case PredicateKind::kNumberRange:
      numbers(node.low, node.high);
      return;
    case PredicateKind::kCategoryIn:
      if (node.table.empty()) {
        fill(column.codes.data(), [&](const std::uint32_t* values, std::size_t count) {
          return bits_by(values, count,
                         [&](const std::uint32_t* of) { return match.few(of, node.few.data()); });
        });
      } else {
        fill(column.codes.data(), [&](const std::uint32_t* values, std::size_t count) {
          return bits_one_by_one(values, count,
                                 [&](std::uint32_t code) { return node.table[code]; });
        });
      }
      return;
    case PredicateKind::kTagsAny:
      tags(match.any_bit, node.signature);
      return;
    case PredicateKind::kTagsAll:
      tags(match.all_bits, node.signature);
      return;
    case PredicateKind::kPresent:
      if (column.spec.kind == AttributeKind::kNumber) {
        numbers(-kInfinity, kInfinity);
      } else if (column.spec.kind == AttributeKind::kCategory) {
        fill(column.codes.data(), [&](const std::uint32_t* values, std::size_t count) {
          constexpr std::uint32_t kNone[kFewValues] = {};
          return bits_by(values, count,
                         [&](const std::uint32_t* of) { return ~match.few(of, kNone); });
        });
      } else {
        tags(match.any_bit, ~std::uint64_t{0});
      }
      return;
    case PredicateKind::kNumberIn:
      fill(column.numbers.data(), [&](const double* values, std::size_t count) {
        return bits_one_by_one(values, count,
                               [&](double value) { return contains(node.numbers, value); });
      });
      return;
    case PredicateKind::kAnd:
    case PredicateKind::kOr:
    case PredicateKind::kNot:
      break;
  }
}

// Bits of rows that are not wanted may be anything afterwards.
void AttributeMatcher::evaluate_node(const Node& node, const Block& block,
                                     const std::uint64_t* wanted, std::uint64_t* words) {
  const std::size_t count = block.words;
  std::array<std::uint64_t, kBlockWords> part;
  std::array<std::uint64_t, kBlockWords> open;
  if (node.never) {
    std::fill_n(words, count, 0);
    return;
  }
  switch (node.kind) {
    case PredicateKind::kAnd:
      // A child is asked only for what the ones before it let through.
      std::copy_n(wanted, count, words);
      for (const Node& child : node.children) {
        evaluate_node(child, block, words, part.data());
        for (std::size_t w = 0; w < count; ++w) words[w] &= part[w];
      }
      return;
    case PredicateKind::kOr:
      std::fill_n(words, count, 0);
      for (const Node& child : node.children) {
        for (std::size_t w = 0; w < count; ++w) open[w] = wanted[w] & ~words[w];
        evaluate_node(child, block, open.data(), part.data());
        for (std::size_t w = 0; w < count; ++w) words[w] |= part[w] & open[w];
      }
      return;
    case PredicateKind::kNot:
      evaluate_node(node.children[0], block, wanted, words);
      for (std::size_t w = 0; w < count; ++w) words[w] = ~words[w];
      return;
    default:
      evaluate_leaf(node, block, wanted, words);
  }
}

void AttributeMatcher::evaluate(std::size_t first, std::size_t last, std::uint64_t* words) const {
  if (first >= last) return;
  const std::size_t end_word = (last + 63) / 64;
  std::array<std::uint64_t, kBlockWords> wanted;
  std::array<std::uint64_t, kBlockWords> found;
  for (std::size_t word = first / 64; word < end_word; word += kBlockWords) {
    const Block block{word, std::min(kBlockWords, end_word - word), last};
    wanted.fill(~std::uint64_t{0});
    if (word * 64 < first) wanted[0] <<= first % 64;
    if (word + block.words == end_word && last % 64 != 0) {
      wanted[block.words - 1] &= (std::uint64_t{1} << (last % 64)) - 1;
    }
    evaluate_node(root_, block, wanted.data(), found.data());
    for (std::size_t w = 0; w < block.words; ++w) {
      words[word + w] = (words[word + w] & ~wanted[w]) | (found[w] & wanted[w]);
    }
  }
}

}  // namespace lichen
