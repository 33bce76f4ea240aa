#include <cmath>
#include <limits>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "index/live_store.hpp"

namespace lichen::addon {
namespace {

constexpr napi_type_tag kStoreTag = {0x6c696368656e0003ull, 0x71c2d0be5fa94e33ull};

std::shared_ptr<LiveStore> store_argument(const Napi::Value& value) {
  const std::shared_ptr<LiveStore>& store = unwrap_handle<LiveStore>(value, kStoreTag);
  if (store == nullptr) throw Error(Code::kClosed, "the store is closed");
  return store;
}

Napi::Value wrap_store(Napi::Env env, LiveStore store) {
  return wrap_handle<LiveStore>(env, std::make_shared<LiveStore>(std::move(store)), kStoreTag);
}

// (dim, metric, storage, _, codes, seed) -> handle
Napi::Value create_store(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_store(info.Env(), LiveStore(codec_argument(info, 0)));
  });
}

Napi::Value describe_store(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> live = store_argument(info[0]);
    const EmbeddingStore& store = live->store();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("dim", static_cast<double>(store.dim()));
    object.Set("metric", kMetricNames[static_cast<std::size_t>(store.metric())]);
    object.Set("storage", kStorageTypeNames[static_cast<std::size_t>(store.type())]);
    describe_codes(store.codec().options(), object);
    object.Set("seed", static_cast<double>(store.codec().options().seed));
    object.Set("rows", static_cast<double>(live->rows()));
    object.Set("deleted", static_cast<double>(live->deleted()));
    object.Set("bytes", static_cast<double>(live->bytes()));
    const Codec& codec = store.codec();
    const std::size_t factors = codec.has_scale() + codec.has_offset() + codec.has_square();
    object.Set("bytesPerVector", static_cast<double>(store.row_bytes() + factors * sizeof(float)));
    return object;
  });
}

// (handle, vectors)
Napi::Value train(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    const Span<float> vectors = float32_array(info[1], "vectors");
    store->train(vectors.data, vector_count(vectors, store->store().dim()));
    return info.Env().Undefined();
  });
}

// (handle, vectors) -> number of the first row
Napi::Value append(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    const Span<float> vectors = float32_array(info[1], "vectors");
    const std::size_t first =
        store->append(vectors.data, vector_count(vectors, store->store().dim()));
    return Napi::Number::New(info.Env(), static_cast<double>(first));
  });
}

// (handle, row, vector)
Napi::Value overwrite(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    store->overwrite(size_argument(info[1], "row"),
                     vector_argument(info[2], store->store().dim(), "vector").data);
    return info.Env().Undefined();
  });
}

// (handle, row) -> whether it was there
Napi::Value remove_row(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(),
                              store_argument(info[0])->remove(size_argument(info[1], "row")));
  });
}

// (handle, row, vector) -> whether the row is there; if so its vector is written
Napi::Value decode(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    const std::size_t row = size_argument(info[1], "row");
    const Span<float> vector = vector_argument(info[2], store->store().dim(), "vector");
    const bool live = store->is_live(row);
    if (live) store->store().decode(row, vector.data);
    return Napi::Boolean::New(info.Env(), live);
  });
}

// (handle, query, k, filter | null, rows, scores) -> number of results
Napi::Value scan(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    const Span<float> query = vector_argument(info[1], store->store().dim(), "query");
    const std::size_t k = size_argument(info[2], "k", kMaxRows);
    const std::optional<RowFilter> filter = filter_argument(info[3]);
    const Span<std::uint32_t> rows = uint32_array(info[4], "rows");
    const Span<float> scores = float32_array(info[5], "scores");
    if (k == 0 || rows.size < k || scores.size < k) {
      throw Error(Code::kArgument, "k is 0, or the arrays for the results are too short");
    }
    std::vector<Hit> hits(k);
    const std::size_t count =
        store->scan(query.data, k, filter.has_value() ? &*filter : nullptr, hits.data());
    for (std::size_t i = 0; i < count; ++i) {
      rows.data[i] = hits[i].row;
      scores.data[i] = score_of(store->store().metric(), hits[i].distance);
    }
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  });
}

// (handle, query, rows, scores, bounds | null)
Napi::Value score(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    const Span<float> query = vector_argument(info[1], store->store().dim(), "query");
    const Span<std::uint32_t> rows = uint32_array(info[2], "rows");
    const Span<float> scores = float32_array(info[3], "scores");
    float* bounds = nullptr;
    if (!info[4].IsNull()) {
      const Span<float> array = float32_array(info[4], "bounds");
      if (array.size < rows.size) throw Error(Code::kArgument, "bounds is too short");
      bounds = array.data;
    }
    if (scores.size < rows.size) throw Error(Code::kArgument, "scores is too short");
    store->distances(query.data, rows.data, rows.size, scores.data, bounds);
    for (std::size_t i = 0; i < rows.size; ++i)
      scores.data[i] = score_of(store->store().metric(), scores.data[i]);
    return info.Env().Undefined();
  });
}

// (handle, vectors, first row) -> {meanRelative, worstRelative, meanNorm, worstNorm}
Napi::Value errors(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    const Span<float> vectors = float32_array(info[1], "vectors");
    const std::size_t count = vector_count(vectors, store->store().dim());
    const std::size_t first = size_argument(info[2], "first");
    if (first > store->rows() || count > store->rows() - first) {
      throw Error(Code::kArgument, std::to_string(count) + " vectors from row " +
                                       std::to_string(first) + " on, but the store has " +
                                       std::to_string(store->rows()) + " rows");
    }
    require_finite(vectors.data, count, store->store().dim(), "vectors");
    const StorageErrors found = store->store().errors(vectors.data, first, count);
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("meanRelative", found.mean_relative);
    object.Set("worstRelative", found.worst_relative);
    object.Set("meanNorm", found.mean_norm);
    object.Set("worstNorm", found.worst_norm);
    return object;
  });
}

// (handle, storage, codes, seed) -> handle
Napi::Value convert(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<LiveStore> store = store_argument(info[0]);
    CodecOptions options = store->store().codec().options();
    options.type = storage_argument(info[1]);
    set_codes(options, info[2]);
    options.seed = size_argument(info[3], "seed");
    return wrap_store(info.Env(), store->converted(options));
  });
}

// (handle, path) -> bytes
Napi::Value save_store(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Progress progress;
    const std::uint64_t bytes =
        store_argument(info[0])->save(string_argument(info[1], "path"), progress);
    return Napi::Number::New(info.Env(), static_cast<double>(bytes));
  });
}

// (path, access) -> handle
Napi::Value open_store(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_store(info.Env(),
                      LiveStore::open(string_argument(info[0], "path"), access_argument(info[1])));
  });
}

Napi::Value close_store(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    unwrap_handle<LiveStore>(info[0], kStoreTag).reset();
    return info.Env().Undefined();
  });
}

}  // namespace

void export_store_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "createStore", create_store);
  export_function(env, exports, "storeDescribe", describe_store);
  export_function(env, exports, "storeTrain", train);
  export_function(env, exports, "storeAppend", append);
  export_function(env, exports, "storeOverwrite", overwrite);
  export_function(env, exports, "storeDelete", remove_row);
  export_function(env, exports, "storeDecode", decode);
  export_function(env, exports, "storeScan", scan);
  export_function(env, exports, "storeScore", score);
  export_function(env, exports, "storeErrors", errors);
  export_function(env, exports, "storeConvert", convert);
  export_function(env, exports, "storeSave", save_store);
  export_function(env, exports, "storeOpen", open_store);
  export_function(env, exports, "storeClose", close_store);
}

}  // namespace lichen::addon
