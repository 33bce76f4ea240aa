#pragma once
// Arguments that the bindings of an index share, and the handles that stand for native objects in
// JavaScript.

#include <napi.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/convert.hpp"
#include "index/vector_index.hpp"

namespace lichen::addon {

using IndexPointer = std::shared_ptr<VectorIndex>;

inline constexpr const char* kMetricNames[] = {"dot", "cosine", "l2"};
inline constexpr const char* kKeyKindNames[] = {"row", "integer", "string"};

Napi::Object wrap_index(Napi::Env env, IndexPointer index);
// Throws Error(kArgument) for anything but an index handle, Error(kClosed) for a closed one.
IndexPointer index_argument(const Napi::Value& value);
// What a handle holds, for as long as the handle is there: null once it is closed.
const IndexPointer& index_holder(const Napi::Value& value);
// Empties the handle; what still uses the index keeps it alive until it is done.
void close_index(const Napi::Value& value);

Napi::Object wrap_progress(Napi::Env env);
std::shared_ptr<Progress> progress_argument(const Napi::Value& value);

Metric metric_argument(const Napi::Value& value);
StorageType storage_argument(const Napi::Value& value);
// "read", "map" or "verify": mapped, with a look at all checksums.
Access access_argument(const Napi::Value& value);
// How many codes a vector has: of pq the subspaces (0 = by dim), of other types the components (0 =
// all values).
void set_codes(CodecOptions& options, const Napi::Value& value);
void describe_codes(const CodecOptions& options, Napi::Object& object);
// Arguments `at` and on: dim, metric, storage; at + 4 and on: codes, seed.
CodecOptions codec_argument(const Napi::CallbackInfo& info, std::size_t at);
// null or undefined, or a Uint8Array: a bit a row. Valid until JavaScript runs again.
std::optional<RowFilter> filter_argument(const Napi::Value& value);

// A Float64Array of safe integers, or an array of strings. Reading strings may run JavaScript.
KeyBatch key_list(const Napi::Value& value);
// One vector. Throws Error(kDimension) unless it has `dim` values.
Span<float> vector_argument(const Napi::Value& value, std::size_t dim, const char* name);
// How many vectors of `dim` values the array holds. Throws Error(kDimension) unless they are whole
// and at least one.
std::size_t vector_count(const Span<float>& vectors, std::size_t dim);

}  // namespace lichen::addon
