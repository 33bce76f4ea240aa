#pragma once
// AttributeMatcher: a Predicate made ready for the rows of one table, its strings being looked up.
// It holds while the table stays as it is: rows that are added or overwritten may bring a string
// that the dictionary did not have, so a matcher is made for each search. (Bits that it gave before
// stay right for rows that have not changed.)

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/attribute_table.hpp"
#include "storage/predicate.hpp"

namespace lichen {

class AttributeMatcher {
 public:
  // Throws Error(kArgument) for a column that is not there or of another kind, a NaN, or a tree
  // that is deeper than kMaxPredicateDepth.
  AttributeMatcher(const AttributeTable& table, const Predicate& predicate);

  // Sets bit r % 64 of words[r / 64] for each row r of [first, last) that holds, and clears it for
  // each other one; the bits of other rows stay. `last` is at most the table's rows.
  void evaluate(std::size_t first, std::size_t last, std::uint64_t* words) const;

 private:
  // Sets up to here are compared value by value, without a branch; larger sets of codes have a
  // table.
  static constexpr std::size_t kFewValues = 4;
  struct Node {
    PredicateKind kind = PredicateKind::kAnd;
    const AttributeTable::Column* column = nullptr;
    std::vector<Node> children;
    double low = 0.0;  // both in the range
    double high = 0.0;
    std::vector<double> numbers;  // ascending
    // kCategory: 1 + number of each string; kTags: the number.
    std::size_t codes = 0;
    std::array<std::uint32_t, kFewValues> few = {};  // the last one repeated
    std::vector<std::uint8_t> table;                 // a byte a code; empty where few do
    std::uint64_t signature = 0;                     // kTags
    bool never = false;                              // no row of this table holds
  };
  struct Block;

  static Node compile(const AttributeTable& table, const Predicate& predicate, std::size_t depth);
  static void compile_strings(const Predicate& predicate, Node& node);
  static bool in_set(const Node& node, std::uint32_t code);
  static bool has_tags(const Node& node, std::size_t row);
  static void evaluate_node(const Node& node, const Block& block, const std::uint64_t* wanted,
                            std::uint64_t* words);
  static void evaluate_leaf(const Node& node, const Block& block, const std::uint64_t* wanted,
                            std::uint64_t* words);

  Node root_;
};

}  // namespace lichen
