#pragma once
// Attributes between JavaScript and the core, in the shapes that src/index/attributes.ts makes. All
// of them are checked here once more; every argument is copied before JavaScript can run again.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/attribute_table.hpp"
#include "storage/predicate.hpp"

namespace lichen::addon {

// [name, kind, name, kind, …]; null or undefined for none. Throws Error(kArgument).
std::vector<AttributeSpec> attribute_schema_argument(const Napi::Value& value);
// [name, kind, …] of a table.
Napi::Value attribute_schema_value(Napi::Env env, const std::vector<AttributeSpec>& schema);

// Values of `count` rows, one entry a column: null, a Float64Array (NaN = no value),
// [strings, codes] of a category or [strings, codes, offsets] of tags, as in AttributeValues; null
// or undefined where no row has any. Throws Error(kArgument).
AttributeBatch attribute_batch_argument(const Napi::Value& value,
                                        const std::vector<AttributeSpec>& schema,
                                        std::size_t count);

// A condition: a Float64Array of its nodes, each before its children, and the strings that they
// name by position. A node is its PredicateKind and
//   kAnd, kOr                          number of children
//   kNot                               nothing
//   kNumberRange                       column, low, high, 1 if above low + 2 if below high
//   kNumberIn                          column, number of values, the values
//   kCategoryIn, kTagsAny, kTagsAll    column, number of strings, their positions
//   kPresent                           column
// Throws Error(kArgument).
Predicate predicate_argument(const Napi::Value& program, const Napi::Value& strings);

// The values of some rows that are there, an array a column: a Float64Array (NaN = no value), an
// array of strings (null = no value), or an array of arrays of strings.
Napi::Value attribute_values(Napi::Env env, const AttributeTable& table,
                             const std::vector<std::uint32_t>& rows);

}  // namespace lichen::addon
