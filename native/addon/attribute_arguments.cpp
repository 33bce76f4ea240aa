#include "addon/attribute_arguments.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "addon/convert.hpp"

namespace lichen::addon {
namespace {

[[noreturn]] void bad(const std::string& message) { throw Error(Code::kArgument, message); }

Napi::Array array_argument(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) bad(std::string(name) + " must be an array");
  return value.As<Napi::Array>();
}

std::vector<std::string> strings_argument(const Napi::Value& value, const char* name) {
  const Napi::Array array = array_argument(value, name);
  const std::uint32_t count = array.Length();
  std::vector<std::string> strings;
  strings.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(value.Env());
    strings.push_back(string_argument(array.Get(i), name));
  }
  return strings;
}

std::vector<std::uint32_t> codes_argument(const Napi::Value& value, const char* name) {
  const Span<std::uint32_t> array = uint32_array(value, name);
  return {array.data, array.data + array.size};
}

void require_count(std::size_t got, std::size_t expected, const std::string& name) {
  if (got == expected) return;
  bad("attribute '" + name + "': got values of " + std::to_string(got) + " rows for " +
      std::to_string(expected));
}

AttributeValues values_argument(const Napi::Value& value, const AttributeSpec& spec,
                                std::size_t count) {
  AttributeValues values;
  if (value.IsNull() || value.IsUndefined()) return values;
  values.given = true;
  if (spec.kind == AttributeKind::kNumber) {
    const Span<double> numbers = float64_array(value, "the values of a number");
    values.numbers.assign(numbers.data, numbers.data + numbers.size);
    require_count(values.numbers.size(), count, spec.name);
    return values;
  }
  const Napi::Array parts = array_argument(value, "the values of an attribute");
  values.strings = strings_argument(parts.Get(0u), "the strings of an attribute");
  values.codes = codes_argument(parts.Get(1u), "the codes of an attribute");
  if (spec.kind == AttributeKind::kCategory) {
    require_count(values.codes.size(), count, spec.name);
  } else {
    values.offsets = codes_argument(parts.Get(2u), "the offsets of an attribute");
    require_count(values.offsets.size(), count + 1, spec.name);
  }
  return values;
}

// Reads the nodes of a condition in order.
class PredicateReader {
 public:
  PredicateReader(std::vector<double> program, std::vector<std::string> strings)
      : program_(std::move(program)), strings_(std::move(strings)) {}

  Predicate read_all() {
    Predicate predicate = read(0);
    if (at_ != program_.size()) bad("a condition has nodes behind its end");
    return predicate;
  }

 private:
  double number() {
    if (at_ == program_.size()) bad("a condition is cut off");
    return program_[at_++];
  }
  std::size_t whole(std::size_t most) {
    const double value = number();
    if (!(value >= 0.0 && value <= static_cast<double>(most)) || value != std::floor(value)) {
      bad("a condition has a number out of range");
    }
    return static_cast<std::size_t>(value);
  }
  // A number of parts, each of one number at least.
  std::size_t count() { return whole(program_.size() - at_); }

  Predicate read(std::size_t depth) {
    if (depth > kMaxPredicateDepth) bad("a condition is nested too deep");
    Predicate node;
    node.kind =
        static_cast<PredicateKind>(whole(static_cast<std::size_t>(PredicateKind::kPresent)));
    if (node.kind <= PredicateKind::kNot) {
      const std::size_t children = node.kind == PredicateKind::kNot ? 1 : count();
      for (std::size_t i = 0; i < children; ++i) node.children.push_back(read(depth + 1));
      return node;
    }
    node.column = static_cast<std::uint32_t>(whole(kMaxAttributes));
    if (node.kind == PredicateKind::kNumberRange) {
      node.low = number();
      node.high = number();
      const std::size_t open = whole(3);
      node.above_low = (open & 1) != 0;
      node.below_high = (open & 2) != 0;
    } else if (node.kind == PredicateKind::kNumberIn) {
      for (std::size_t left = count(); left > 0; --left) node.numbers.push_back(number());
    } else if (node.kind != PredicateKind::kPresent) {
      for (std::size_t left = count(); left > 0; --left) {
        const std::size_t string = whole(strings_.size());
        if (string == strings_.size()) bad("a condition names a string that is not there");
        node.strings.push_back(strings_[string]);
      }
    }
    return node;
  }

  std::vector<double> program_;
  std::vector<std::string> strings_;
  std::size_t at_ = 0;
};

Napi::String to_js(Napi::Env env, std::string_view text) {
  return Napi::String::New(env, text.data(), text.size());
}

Napi::Value category_values(Napi::Env env, const AttributeTable& table, std::size_t column,
                            const std::vector<std::uint32_t>& rows) {
  const auto& codes = table.columns()[column].codes;
  Napi::Array values = Napi::Array::New(env, rows.size());
  // A string that several rows have is made once.
  std::unordered_map<std::uint32_t, napi_value> made;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    napi_value& value = made[codes[rows[i]]];
    if (value == nullptr) {
      value = codes[rows[i]] == 0 ? static_cast<napi_value>(env.Null())
                                  : to_js(env, table.category(column, rows[i]));
    }
    values.Set(static_cast<std::uint32_t>(i), value);
  }
  return values;
}

Napi::Value tag_values(Napi::Env env, const AttributeTable& table, std::size_t column,
                       const std::vector<std::uint32_t>& rows) {
  Napi::Array values = Napi::Array::New(env, rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Napi::HandleScope scope(env);
    const std::vector<std::string_view> tags = table.tags(column, rows[i]);
    Napi::Array list = Napi::Array::New(env, tags.size());
    for (std::size_t t = 0; t < tags.size(); ++t) {
      list.Set(static_cast<std::uint32_t>(t), to_js(env, tags[t]));
    }
    values.Set(static_cast<std::uint32_t>(i), list);
  }
  return values;
}

}  // namespace

std::vector<AttributeSpec> attribute_schema_argument(const Napi::Value& value) {
  std::vector<AttributeSpec> schema;
  if (value.IsNull() || value.IsUndefined()) return schema;
  const std::vector<std::string> parts = strings_argument(value, "attributes");
  if (parts.size() % 2 != 0 || parts.size() > 2 * kMaxAttributes) {
    bad("attributes must be at most " + std::to_string(kMaxAttributes) + " names and kinds");
  }
  for (std::size_t i = 0; i < parts.size(); i += 2) {
    std::size_t kind = 0;
    while (kind < std::size(kAttributeKindNames) && parts[i + 1] != kAttributeKindNames[kind]) {
      ++kind;
    }
    if (kind == std::size(kAttributeKindNames)) {
      bad("the kind of an attribute must be number, category or tags, got '" + parts[i + 1] + "'");
    }
    schema.push_back({parts[i], static_cast<AttributeKind>(kind)});
  }
  return schema;
}

Napi::Value attribute_schema_value(Napi::Env env, const std::vector<AttributeSpec>& schema) {
  Napi::Array parts = Napi::Array::New(env, 2 * schema.size());
  for (std::uint32_t i = 0; i < schema.size(); ++i) {
    parts.Set(2 * i, to_js(env, schema[i].name));
    parts.Set(2 * i + 1, kAttributeKindNames[static_cast<std::size_t>(schema[i].kind)]);
  }
  return parts;
}

AttributeBatch attribute_batch_argument(const Napi::Value& value,
                                        const std::vector<AttributeSpec>& schema,
                                        std::size_t count) {
  AttributeBatch batch = AttributeBatch::of_none(schema.size());
  if (value.IsNull() || value.IsUndefined()) return batch;
  const Napi::Array columns = array_argument(value, "attributes");
  if (columns.Length() != schema.size()) {
    bad("got values of " + std::to_string(columns.Length()) + " attributes for " +
        std::to_string(schema.size()));
  }
  for (std::uint32_t c = 0; c < schema.size(); ++c) {
    batch.columns[c] = values_argument(columns.Get(c), schema[c], count);
  }
  return batch;
}

Predicate predicate_argument(const Napi::Value& program, const Napi::Value& strings) {
  std::vector<std::string> texts = strings_argument(strings, "the strings of a condition");
  const Span<double> nodes = float64_array(program, "a condition");
  return PredicateReader({nodes.data, nodes.data + nodes.size}, std::move(texts)).read_all();
}

Napi::Value attribute_values(Napi::Env env, const AttributeTable& table,
                             const std::vector<std::uint32_t>& rows) {
  Napi::Array columns = Napi::Array::New(env, table.columns().size());
  for (std::uint32_t c = 0; c < table.columns().size(); ++c) {
    const AttributeKind kind = table.columns()[c].spec.kind;
    if (kind == AttributeKind::kCategory) {
      columns.Set(c, category_values(env, table, c, rows));
    } else if (kind == AttributeKind::kTags) {
      columns.Set(c, tag_values(env, table, c, rows));
    } else {
      Napi::Float64Array numbers = Napi::Float64Array::New(env, rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) numbers[i] = table.number(c, rows[i]);
      columns.Set(c, numbers);
    }
  }
  return columns;
}

}  // namespace lichen::addon
