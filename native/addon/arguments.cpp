#include "addon/arguments.hpp"

#include <cmath>
#include <utility>

namespace lichen::addon {
namespace {

constexpr napi_type_tag kIndexTag = {0x6c696368656e0001ull, 0x9d1f4c6be2a74f10ull};
constexpr napi_type_tag kProgressTag = {0x6c696368656e0002ull, 0x3be0a9f1c58d4e77ull};

}  // namespace

Napi::Object wrap_index(Napi::Env env, IndexPointer index) {
  return wrap_handle<VectorIndex>(env, std::move(index), kIndexTag);
}

const IndexPointer& index_holder(const Napi::Value& value) {
  return unwrap_handle<VectorIndex>(value, kIndexTag);
}

IndexPointer index_argument(const Napi::Value& value) {
  const IndexPointer& index = index_holder(value);
  if (index == nullptr) throw Error(Code::kClosed, "the index is closed");
  return index;
}

void close_index(const Napi::Value& value) { unwrap_handle<VectorIndex>(value, kIndexTag).reset(); }

Napi::Object wrap_progress(Napi::Env env) {
  return wrap_handle<Progress>(env, std::make_shared<Progress>(), kProgressTag);
}

std::shared_ptr<Progress> progress_argument(const Napi::Value& value) {
  return unwrap_handle<Progress>(value, kProgressTag);
}

Metric metric_argument(const Napi::Value& value) {
  const std::string name = string_argument(value, "metric");
  for (std::size_t i = 0; i < std::size(kMetricNames); ++i) {
    if (name == kMetricNames[i]) return static_cast<Metric>(i);
  }
  throw Error(Code::kArgument, "metric must be dot, cosine or l2, got '" + name + "'");
}

Access access_argument(const Napi::Value& value) {
  const std::string name = string_argument(value, "access");
  if (name == "read") return Access::kRead;
  if (name == "map") return Access::kMap;
  if (name == "verify") return Access::kMapVerified;
  throw Error(Code::kArgument, "access is not one of read, map, verify");
}

StorageType storage_argument(const Napi::Value& value) {
  const std::string name = string_argument(value, "storage");
  for (std::size_t i = 0; i < kStorageTypeNames.size(); ++i) {
    if (name == kStorageTypeNames[i]) return static_cast<StorageType>(i);
  }
  throw Error(Code::kArgument, "unknown storage type '" + name + "'");
}

void set_codes(CodecOptions& options, const Napi::Value& value) {
  const bool pq = options.type == StorageType::kPq;
  options.subspaces = pq ? size_argument(value, "subspaces") : 0;
  options.components = pq ? 0 : size_argument(value, "pca");
}

void describe_codes(const CodecOptions& options, Napi::Object& object) {
  if (options.type == StorageType::kPq) {
    object.Set("subspaces", static_cast<double>(options.subspaces));
  }
  if (options.components > 0) object.Set("pca", static_cast<double>(options.components));
}

CodecOptions codec_argument(const Napi::CallbackInfo& info, std::size_t at) {
  CodecOptions options;
  options.dim = size_argument(info[at], "dim");
  options.metric = metric_argument(info[at + 1]);
  options.type = storage_argument(info[at + 2]);
  set_codes(options, info[at + 4]);
  options.seed = size_argument(info[at + 5], "seed");
  return options;
}

std::optional<RowFilter> filter_argument(const Napi::Value& value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  const Span<std::uint8_t> bits = typed_array<std::uint8_t>(value, napi_uint8_array, "filter");
  return RowFilter(bits.data, bits.size);
}

KeyBatch key_list(const Napi::Value& value) {
  KeyBatch keys;
  if (value.IsTypedArray()) {
    const Span<double> numbers = float64_array(value, "keys");
    keys.kind = KeyKind::kInteger;
    keys.integers.reserve(numbers.size);
    for (std::size_t i = 0; i < numbers.size; ++i) {
      const double number = numbers.data[i];
      if (!(std::abs(number) <= static_cast<double>(kMaxIntegerKey)) ||
          number != std::floor(number)) {
        throw Error(Code::kArgument,
                    "keys: the value at position " + std::to_string(i) + " is not a safe integer");
      }
      keys.integers.push_back(static_cast<std::int64_t>(number));
    }
  } else {
    if (!value.IsArray()) throw Error(Code::kArgument, "keys must be an array");
    const Napi::Array strings = value.As<Napi::Array>();
    keys.kind = KeyKind::kString;
    const std::uint32_t count = strings.Length();
    keys.strings.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      const Napi::HandleScope scope(value.Env());
      keys.strings.push_back(string_argument(strings.Get(i), "a key"));
    }
  }
  return keys;
}

Span<float> vector_argument(const Napi::Value& value, std::size_t dim, const char* name) {
  const Span<float> vector = float32_array(value, name);
  if (vector.size == dim) return vector;
  throw Error(Code::kDimension, std::string(name) + ": dim is " + std::to_string(dim) + ", got " +
                                    std::to_string(vector.size) + " values");
}

std::size_t vector_count(const Span<float>& vectors, std::size_t dim) {
  if (vectors.size == 0 || vectors.size % dim != 0) {
    throw Error(Code::kDimension, "vectors: dim is " + std::to_string(dim) + ", got " +
                                      std::to_string(vectors.size) + " values");
  }
  return vectors.size / dim;
}

}  // namespace lichen::addon
