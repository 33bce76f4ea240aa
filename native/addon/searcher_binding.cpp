// Searching for one query with the least that a call can cost: reading a typed array's address or a
// handle through Node-API takes as long as scoring a dozen rows, so a searcher is told once where
// its query, its numbers and its results lie, and called without arguments.

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/restrictions.hpp"
#include "addon/results.hpp"

namespace lichen::addon {
namespace {

class Searcher {
 public:
  // `index` is what its handle holds: null once it is closed.
  Searcher(const IndexPointer& index, Span<float> query, Span<double> numbers)
      : index_(index), query_(query), numbers_(numbers) {}

  void set_places(Span<double> keys, Span<float> scores) {
    keys_ = keys;
    scores_ = scores;
  }

  std::uint32_t search() {
    const IndexPointer index = index_;
    if (index == nullptr) throw Error(Code::kClosed, "the index is closed");
    const auto number = [&](std::size_t at, double most) {
      const double value = numbers_.data[at];
      if (value >= 0.0 && value <= most) return static_cast<std::size_t>(value);
      throw Error(Code::kArgument, "a number of the search is out of range");
    };
    SearchOptions options = beam_of(numbers_.data[kEf]);
    options.k = number(kResults, kMaxRows);
    const std::size_t first = number(kFirstPlace, kMaxRows);
    if (query_.size != index->dim() || first + options.k > std::min(keys_.size, scores_.size)) {
      throw Error(Code::kArgument, "the memory of the search is too small");
    }
    Output out;
    out.keys = keys_.data + first;
    out.scores = scores_.data + first;
    return search_one(*index, query_.data, options, out);
  }

 private:
  // Places of the numbers.
  static constexpr std::size_t kResults = 0;
  static constexpr std::size_t kEf = 1;
  static constexpr std::size_t kFirstPlace = 2;

  const IndexPointer& index_;
  Span<float> query_;
  Span<double> numbers_;
  Span<double> keys_{nullptr, 0};
  Span<float> scores_{nullptr, 0};
};

// () -> number of results; or (keys, scores) -> undefined: where results go from now on.
napi_value call_searcher(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  std::size_t count = 2;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
  Searcher& searcher = *static_cast<Searcher*>(data);
  try {
    napi_value result = nullptr;
    if (count == 2) {
      searcher.set_places(float64_array(Napi::Value(env, arguments[0]), "keys"),
                          float32_array(Napi::Value(env, arguments[1]), "scores"));
    } else {
      napi_create_uint32(env, searcher.search(), &result);
    }
    return result;
  } catch (...) {
    napi_throw(env, to_js_error(env, std::current_exception()));
    return nullptr;
  }
}

// (handle, query, [k, ef, first place]) -> a searcher. It uses the memory of these and of its
// places at every call, so whoever has it must keep them, undetached.
Napi::Value create_searcher(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Span<float> query = float32_array(info[1], "query");
    const Span<double> numbers = float64_array(info[2], "numbers");
    if (numbers.size != 3) throw Error(Code::kArgument, "a searcher needs three numbers");
    auto searcher = std::make_unique<Searcher>(index_holder(info[0]), query, numbers);
    const napi_env env = info.Env();
    napi_value function = nullptr;
    if (napi_create_function(env, "search", NAPI_AUTO_LENGTH, call_searcher, searcher.get(),
                             &function) != napi_ok) {
      throw Napi::Error::New(env);
    }
    const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Searcher*>(data); };
    if (napi_add_finalizer(env, function, searcher.get(), finalize, nullptr, nullptr) != napi_ok) {
      throw Napi::Error::New(env);
    }
    searcher.release();
    return Napi::Value(env, function);
  });
}

}  // namespace

void export_searcher_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "createSearcher", create_searcher);
}

}  // namespace lichen::addon
