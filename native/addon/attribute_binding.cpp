// A table of attributes on its own, for those who keep their own rows.

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/attribute_arguments.hpp"
#include "addon/convert.hpp"
#include "addon/index_binding.hpp"
#include "storage/attribute_matcher.hpp"

namespace lichen::addon {
namespace {

constexpr napi_type_tag kAttributesTag = {0x6c696368656e0004ull, 0x2fd81c07b95e6a43ull};

std::shared_ptr<AttributeTable> table_argument(const Napi::Value& value) {
  return unwrap_handle<AttributeTable>(value, kAttributesTag);
}

std::size_t row_argument(const Napi::Value& value, const AttributeTable& table) {
  const std::size_t row = size_argument(value, "row");
  if (row < table.rows()) return row;
  throw Error(Code::kArgument, "there is no row " + std::to_string(row));
}

// (schema) -> handle
Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_handle<AttributeTable>(
        info.Env(), std::make_shared<AttributeTable>(attribute_schema_argument(info[0])),
        kAttributesTag);
  });
}

// (handle) -> {schema, rows, bytes}
Napi::Value describe(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<AttributeTable> table = table_argument(info[0]);
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("schema", attribute_schema_value(info.Env(), table->schema()));
    object.Set("rows", static_cast<double>(table->rows()));
    object.Set("bytes", static_cast<double>(table->bytes()));
    return object;
  });
}

// (handle, columns, count)
Napi::Value append(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<AttributeTable> table = table_argument(info[0]);
    const std::size_t count = size_argument(info[2], "count", 2147483647.0);
    table->append(attribute_batch_argument(info[1], *table, count), count);
    return info.Env().Undefined();
  });
}

// (handle, row, columns | null): null takes the row's values
Napi::Value overwrite(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<AttributeTable> table = table_argument(info[0]);
    const AttributeBatch batch = attribute_batch_argument(info[2], *table, 1);
    table->overwrite(row_argument(info[1], *table), batch, 0);
    return info.Env().Undefined();
  });
}

// (handle, program, strings) -> Uint8Array: bit r % 8 of byte r / 8 for row r
Napi::Value evaluate(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<AttributeTable> table = table_argument(info[0]);
    const AttributeMatcher matcher(*table, predicate_argument(info[1], info[2]));
    std::vector<std::uint64_t> words((table->rows() + 63) / 64);
    matcher.evaluate(0, table->rows(), words.data());
    Napi::Uint8Array bits = Napi::Uint8Array::New(info.Env(), (table->rows() + 7) / 8);
    if (bits.ByteLength() > 0) std::memcpy(bits.Data(), words.data(), bits.ByteLength());
    return bits;
  });
}

// (handle, column, rows) -> the column's values of these rows
Napi::Value values(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<AttributeTable> table = table_argument(info[0]);
    const std::size_t column = size_argument(info[1], "column");
    const Span<std::uint32_t> rows = uint32_array(info[2], "rows");
    return attribute_values(info.Env(), *table, column, {rows.data, rows.data + rows.size});
  });
}

}  // namespace

void export_attribute_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "createAttributes", create);
  export_function(env, exports, "attributesDescribe", describe);
  export_function(env, exports, "attributesAppend", append);
  export_function(env, exports, "attributesOverwrite", overwrite);
  export_function(env, exports, "attributesEvaluate", evaluate);
  export_function(env, exports, "attributesValues", values);
}

}  // namespace lichen::addon
