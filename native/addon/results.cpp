#include "addon/results.hpp"

#include <limits>

#include "addon/convert.hpp"
#include "runtime/error.hpp"

namespace lichen::addon {

std::optional<std::uint32_t> write_hits(const VectorIndex& index, std::uint64_t layout,
                                        const Hit* hits, std::size_t count, std::size_t k,
                                        const Output& out) {
  std::size_t written = 0;
  bool moved = false;
  index.with_keys([&](const KeyMap& keys) {
    moved = index.layout() != layout;
    if (moved) return;
    if ((out.strings != nullptr) != (keys.kind() == KeyKind::kString)) {
      throw Error(Code::kArgument, "the array for the keys is not of the type that the keys need");
    }
    for (std::size_t i = 0; i < count; ++i) {
      // An aborted add may have taken the row away since the search.
      if (hits[i].row >= keys.size()) continue;
      if (out.keys != nullptr) {
        out.keys[written] = static_cast<double>(keys.integer(hits[i].row));
      } else {
        out.strings[written] = keys.string(hits[i].row);
      }
      out.scores[written++] = score_of(index.metric(), hits[i].distance);
    }
  });
  if (moved) return std::nullopt;
  for (std::size_t i = written; i < k; ++i) {
    if (out.keys != nullptr) out.keys[i] = -1.0;
    if (out.strings != nullptr) out.strings[i].clear();
    out.scores[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return static_cast<std::uint32_t>(written);
}

std::uint32_t search_one(const VectorIndex& index, const float* query, const SearchOptions& options,
                         const Output& out) {
  thread_local std::vector<Hit> hits;
  hits.resize(options.k);
  std::uint32_t count = 0;
  const auto search = [&] {
    count = static_cast<std::uint32_t>(index.search(query, options, hits.data()));
  };
  search_and_write(index, 1, options.k, search, hits.data(), &count, out);
  return count;
}

Output output_argument(const Napi::Value& keys, const Napi::Value& scores, std::size_t slots,
                       std::vector<std::string>& strings) {
  Output out;
  std::size_t size = slots;
  if (keys.IsNull()) {
    strings.resize(slots);
    out.strings = strings.data();
  } else {
    const Span<double> numbers = float64_array(keys, "keys");
    out.keys = numbers.data;
    size = numbers.size;
  }
  const Span<float> values = float32_array(scores, "scores");
  out.scores = values.data;
  if (size < slots || values.size < slots) {
    throw Error(Code::kArgument, "the arrays for the results are too short");
  }
  return out;
}

Napi::Value strings_value(Napi::Env env, const std::vector<std::string>& strings,
                          std::size_t count) {
  Napi::Array array = Napi::Array::New(env, count);
  for (std::size_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(env);
    array.Set(static_cast<std::uint32_t>(i), Napi::String::New(env, strings[i]));
  }
  return array;
}

}  // namespace lichen::addon
