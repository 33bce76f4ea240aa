#include "addon/index_binding.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/attribute_arguments.hpp"
#include "addon/jobs.hpp"
#include "addon/results.hpp"
#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"

namespace lichen::addon {

StorageOptions storage_options(const Napi::CallbackInfo& info) {
  StorageOptions options;
  options.codec = codec_argument(info, 0);
  if (!string_argument(info[3], "rerank").empty()) options.rerank = storage_argument(info[3]);
  options.attributes = attribute_schema_argument(info[6]);
  return options;
}

namespace {

// (dim, metric, storage, rerank | '', codes, seed, attributes) -> handle
Napi::Value create_flat(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_index(info.Env(), std::make_shared<FlatIndex>(storage_options(info)));
  });
}

// (dim, metric, storage, rerank | '', codes, seed, attributes, m, efConstruction) -> handle
Napi::Value create_hnsw(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const StorageOptions options = storage_options(info);
    HnswParameters parameters;
    parameters.m = size_argument(info[7], "m");
    parameters.ef_construction = size_argument(info[8], "efConstruction");
    parameters.seed = options.codec.seed;
    return wrap_index(info.Env(), std::make_shared<HnswIndex>(options, parameters));
  });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("dim", static_cast<double>(index->dim()));
    object.Set("metric", kMetricNames[static_cast<std::size_t>(index->metric())]);
    object.Set("index", index->kind() == IndexKind::kHnsw ? "hnsw" : "flat");
    object.Set("storage", kStorageTypeNames[static_cast<std::size_t>(index->storage())]);
    if (const std::optional<StorageType> rerank = index->rerank(); rerank.has_value()) {
      object.Set("rerank", kStorageTypeNames[static_cast<std::size_t>(*rerank)]);
    }
    describe_codes(index->codec_options(), object);
    object.Set("keys", kKeyKindNames[static_cast<std::size_t>(index->key_kind())]);
    object.Set("attributes", attribute_schema_value(info.Env(), index->attribute_schema()));
    object.Set("dead", static_cast<double>(index->dead()));
    object.Set("bytes", static_cast<double>(index->bytes()));
    if (index->has_journal()) {
      object.Set("journalBytes", static_cast<double>(index->journal_bytes()));
    }
    const SnapshotLabel& label = index->label();
    if (!label.model.empty()) object.Set("modelVersion", label.model);
    object.Set("snapshotVersion", static_cast<double>(label.version));
    if (const auto* hnsw = dynamic_cast<const HnswIndex*>(index.get())) {
      object.Set("m", static_cast<double>(hnsw->parameters().m));
      object.Set("efConstruction", static_cast<double>(hnsw->parameters().ef_construction));
      object.Set("seed", static_cast<double>(hnsw->parameters().seed));
    }
    return object;
  });
}

Napi::Value size(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(index_argument(info[0])->rows()));
  });
}

std::uint32_t find_key(const VectorIndex& index, const Napi::Value& key) {
  if (key.IsString()) return index.find(key.As<Napi::String>().Utf8Value());
  if (!key.IsNumber()) throw Error(Code::kArgument, "a key must be an integer or a string");
  const double number = key.As<Napi::Number>().DoubleValue();
  if (number != std::floor(number) || !(std::abs(number) <= 9007199254740991.0)) return kNoRow;
  return index.find(static_cast<std::int64_t>(number));
}

Napi::Value has(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), find_key(*index_argument(info[0]), info[1]) != kNoRow);
  });
}

// (handle, key, vector) -> whether the key is there; if so its vector is written
Napi::Value get(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> vector = vector_argument(info[2], index->dim(), "vector");
    for (;;) {
      const std::uint64_t layout = index->layout();
      const std::uint32_t row = find_key(*index, info[1]);
      if (row == kNoRow) return Napi::Boolean::New(info.Env(), false);
      index->vector_of(row, vector.data);
      // Rows that got new numbers meanwhile: the vector may be another's.
      if (index->layout() == layout) return Napi::Boolean::New(info.Env(), true);
    }
  });
}

// (handle) -> {keys: Float64Array | strings, rows: Uint32Array, layout}, in order of rows
Napi::Value keys(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const bool strings = index->key_kind() == KeyKind::kString;
    std::vector<double> numbers;
    std::vector<std::string> texts;
    std::vector<std::uint32_t> rows;
    std::uint64_t layout = 0;
    do {
      layout = index->layout();
      numbers.clear();
      texts.clear();
      rows.clear();
      index->for_each_row([&](std::uint32_t row, const KeyMap& map) {
        rows.push_back(row);
        if (strings) {
          texts.emplace_back(map.string(row));
        } else {
          numbers.push_back(static_cast<double>(map.integer(row)));
        }
      });
    } while (index->layout() != layout);
    Napi::Object result = Napi::Object::New(info.Env());
    if (strings) {
      result.Set("keys", strings_value(info.Env(), texts, texts.size()));
    } else {
      Napi::Float64Array array = Napi::Float64Array::New(info.Env(), numbers.size());
      std::copy(numbers.begin(), numbers.end(), array.Data());
      result.Set("keys", array);
    }
    Napi::Uint32Array numbered = Napi::Uint32Array::New(info.Env(), rows.size());
    std::copy(rows.begin(), rows.end(), numbered.Data());
    result.Set("rows", numbered);
    result.Set("layout", static_cast<double>(layout));
    return result;
  });
}

// (handle, keys: Float64Array | strings) -> {bits, layout}: a bit set for each key's row. Throws
// kUnknownKey for a key that is not there.
Napi::Value filter(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const KeyBatch batch = key_list(info[1]);
    std::vector<std::uint8_t> bits;
    std::uint64_t layout = 0;
    const auto select = [&](std::uint32_t row, const std::string& key) {
      if (row / 8 >= bits.size()) {
        throw Error(Code::kUnknownKey, "the index has no key " + key);
      }
      bits[row / 8] |= static_cast<std::uint8_t>(1u << (row % 8));
    };
    do {
      layout = index->layout();
      bits.assign((index->row_numbers() + 7) / 8, 0);
      for (const std::int64_t key : batch.integers) select(index->find(key), std::to_string(key));
      for (const std::string& key : batch.strings) select(index->find(key), "'" + key + "'");
    } while (index->layout() != layout);
    Napi::Uint8Array array = Napi::Uint8Array::New(info.Env(), bits.size());
    std::copy(bits.begin(), bits.end(), array.Data());
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("bits", array);
    result.Set("layout", static_cast<double>(layout));
    return result;
  });
}

HnswIndex& hnsw_argument(const IndexPointer& index) {
  auto* const hnsw = dynamic_cast<HnswIndex*>(index.get());
  if (hnsw == nullptr) throw Error(Code::kArgument, "a graph index is wanted");
  return *hnsw;
}

class CalibrateJob final : public Job {
 public:
  CalibrateJob(Napi::Env env, IndexPointer index, Span<float> queries)
      : Job(env), index_(std::move(index)), queries_(queries.data, queries.data + queries.size) {}
  void run() override { index_->calibrate(queries_.data(), queries_.size() / index_->dim()); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }

 private:
  IndexPointer index_;
  std::vector<float> queries_;
};

// (handle, queries) -> Promise<undefined>
Napi::Value calibrate(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> queries = float32_array(info[1], "queries");
    require_finite(queries.data, vector_count(queries, index->dim()), index->dim(), "queries");
    return Jobs::of(info.Env())
        .start(std::make_unique<CalibrateJob>(info.Env(), index, queries), Jobs::Where::kOwnThread);
  });
}

// (handle) -> Float64Array of pairs: ef, recall
Napi::Value calibration(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Calibration known = hnsw_argument(index_argument(info[0])).calibration();
    Napi::Float64Array pairs = Napi::Float64Array::New(info.Env(), 2 * known.points.size());
    for (std::size_t i = 0; i < known.points.size(); ++i) {
      pairs[2 * i] = known.points[i].ef;
      pairs[2 * i + 1] = known.points[i].recall;
    }
    return pairs;
  });
}

Napi::Value close(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    close_index(info[0]);
    return info.Env().Undefined();
  });
}

Napi::Value create_progress(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value { return wrap_progress(info.Env()); });
}

// (progress, Float64Array(2)): writes how much is done and how much there is (0 while that is not
// known).
Napi::Value progress_state(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<Progress> progress = progress_argument(info[0]);
    const Span<double> state = float64_array(info[1], "state");
    if (state.size < 2) throw Error(Code::kArgument, "state is too short");
    state.data[0] = static_cast<double>(progress->done.load());
    state.data[1] = static_cast<double>(progress->total.load());
    return info.Env().Undefined();
  });
}

Napi::Value progress_cancel(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    progress_argument(info[0])->cancel.store(true);
    return info.Env().Undefined();
  });
}

}  // namespace

void export_index_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "createFlat", create_flat);
  export_function(env, exports, "createHnsw", create_hnsw);
  export_function(env, exports, "indexDescribe", describe);
  export_function(env, exports, "indexSize", size);
  export_function(env, exports, "indexHas", has);
  export_function(env, exports, "indexGet", get);
  export_function(env, exports, "indexKeys", keys);
  export_function(env, exports, "indexFilter", filter);
  export_function(env, exports, "indexCalibrate", calibrate);
  export_function(env, exports, "indexCalibration", calibration);
  export_function(env, exports, "indexClose", close);
  export_function(env, exports, "createProgress", create_progress);
  export_function(env, exports, "progressState", progress_state);
  export_function(env, exports, "progressCancel", progress_cancel);
}

}  // namespace lichen::addon
