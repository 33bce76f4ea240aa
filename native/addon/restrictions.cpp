#include "addon/restrictions.hpp"

#include <cmath>
#include <string>

#include "addon/attribute_arguments.hpp"

namespace lichen::addon {
namespace {

bool is_given(const Napi::Value& value) { return !value.IsNull() && !value.IsUndefined(); }

// Where the keys of each query begin, and where the last ones end.
std::vector<std::size_t> offsets_argument(const Napi::Value& ends, std::size_t queries,
                                          std::size_t keys) {
  const Span<std::uint32_t> given = uint32_array(ends, "ends");
  if (given.size != queries) throw Error(Code::kArgument, "exclude needs an end for each query");
  std::vector<std::size_t> offsets = {0};
  for (std::size_t q = 0; q < queries; ++q) {
    if (given.data[q] < offsets.back() || given.data[q] > keys) {
      throw Error(Code::kArgument, "the ends of exclude must rise up to the number of keys");
    }
    offsets.push_back(given.data[q]);
  }
  return offsets;
}

}  // namespace

SearchOptions beam_of(double ef) {
  SearchOptions options;
  options.exact = ef == -1.0;
  if (ef > 0.0 && ef < 1.0) {
    options.recall = ef;
  } else if (!options.exact) {
    if (!(ef >= 0.0 && ef <= static_cast<double>(kMaxRows) && ef == std::floor(ef))) {
      throw Error(Code::kArgument, "ef must be a whole number, a recall or -1");
    }
    options.ef = static_cast<std::size_t>(ef);
  }
  return options;
}

SearchOptions beam_argument(const Napi::Value& ef) {
  return beam_of(ef.IsNumber() ? ef.As<Napi::Number>().DoubleValue() : NAN);
}

Condition condition_argument(const Napi::Value& value) {
  if (!value.IsArray()) throw Error(Code::kArgument, "a condition must be an array");
  const auto parts = value.As<Napi::Array>();
  Condition condition;
  condition.key = string_argument(parts.Get(0u), "the key of a condition");
  condition.predicate = predicate_argument(parts.Get(1u), parts.Get(2u));
  return condition;
}

Restrictions::Restrictions(const Napi::Value& value, std::size_t queries, For thread) {
  if (!is_given(value)) return;
  if (!value.IsObject()) throw Error(Code::kArgument, "restrictions must be an object");
  const auto given = value.As<Napi::Object>();
  const auto size = [&](const char* name, std::size_t most, std::size_t otherwise) {
    const Napi::Value part = given.Get(name);
    return is_given(part) ? size_argument(part, name, static_cast<double>(most)) : otherwise;
  };
  oversample_ = size("oversample", kMaxRows, 0);
  layout_ = size("layout", static_cast<std::size_t>(kMaxIntegerKey), 0);
  group_size_ = size("groupSize", kMaxRows, 1);
  if (is_given(given.Get("groupBy"))) group_by_ = size("groupBy", kMaxAttributes, 0);
  if (const Napi::Value where = given.Get("where"); is_given(where)) {
    where_ = condition_argument(where);
  }
  if (const Napi::Value keys = given.Get("exclude"); is_given(keys)) {
    exclude_ = key_list(keys);
    offsets_ = offsets_argument(given.Get("ends"), queries, exclude_.size());
  }
  // Last, since the memory of an array is known only until JavaScript runs.
  const Napi::Value filter = given.Get("filter");
  if (!is_given(filter)) return;
  const Span<std::uint8_t> bits = typed_array<std::uint8_t>(filter, napi_uint8_array, "filter");
  if (thread == For::kThisThread) {
    filter_.emplace(bits.data, bits.size);
  } else {
    bits_.assign(bits.data, bits.data + bits.size);
    filter_.emplace(bits_.data(), bits_.size());
  }
}

void Restrictions::give_to(SearchOptions& options) const {
  options.oversample = oversample_;
  options.filter_layout = layout_;
  options.filter = filter_.has_value() ? &*filter_ : nullptr;
  options.where = where_.has_value() ? &*where_ : nullptr;
  options.group_by = group_by_;
  options.group_size = group_size_;
  if (offsets_.empty()) return;
  options.exclude = &exclude_;
  options.exclude_offsets = offsets_.data();
}

}  // namespace lichen::addon
