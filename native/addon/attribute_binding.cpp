// Attributes of an index's vectors, and conditions on them.

#include <algorithm>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/attribute_arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/restrictions.hpp"

namespace lichen::addon {
namespace {

// (handle, keys, columns)
Napi::Value set_attributes(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const KeyBatch keys = key_list(info[1]);
    index->set_attributes(
        keys, attribute_batch_argument(info[2], index->attribute_schema(), keys.size()));
    return info.Env().Undefined();
  });
}

// (handle, keys) -> an array a column of their values
Napi::Value attributes(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const KeyBatch keys = key_list(info[1]);
    Napi::Value values;
    index->with_attributes(
        keys, [&](const std::vector<std::uint32_t>& rows, const AttributeTable& table) {
          values = attribute_values(info.Env(), table, rows);
        });
    return values;
  });
}

// (handle, condition) -> {bits, layout}: a bit set for each row on which it holds now
Napi::Value where(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Condition condition = condition_argument(info[1]);
    std::vector<std::uint8_t> rows;
    std::uint64_t layout = 0;
    do {
      layout = index->layout();
      rows = index->rows_where(condition);
    } while (index->layout() != layout);
    Napi::Uint8Array bits = Napi::Uint8Array::New(info.Env(), rows.size());
    std::copy(rows.begin(), rows.end(), bits.Data());
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("bits", bits);
    result.Set("layout", static_cast<double>(layout));
    return result;
  });
}

}  // namespace

void export_attribute_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexSetAttributes", set_attributes);
  export_function(env, exports, "indexAttributes", attributes);
  export_function(env, exports, "indexWhere", where);
}

}  // namespace lichen::addon
