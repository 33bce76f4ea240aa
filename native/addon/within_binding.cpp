#include <algorithm>
#include <cmath>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "addon/restrictions.hpp"
#include "addon/results.hpp"

namespace lichen::addon {
namespace {

// What searching within a score found: hits, and their keys.
class Within {
 public:
  void search(const VectorIndex& index, const float* query, float score,
              const SearchOptions& options) {
    for (;;) {
      const std::uint64_t layout = index.layout();
      hits_ = index.search_within(query, score, options);
      Output out;
      is_string_ = index.key_kind() == KeyKind::kString;
      if (is_string_) {
        strings_.resize(hits_.size());
        out.strings = strings_.data();
      } else {
        keys_.resize(hits_.size());
        out.keys = keys_.data();
      }
      scores_.resize(hits_.size());
      out.scores = scores_.data();
      count_ = 0;
      if (hits_.empty()) return;
      const auto written = write_hits(index, layout, hits_.data(), hits_.size(), hits_.size(), out);
      if (!written.has_value()) continue;
      count_ = *written;
      return;
    }
  }

  // {keys: Float64Array | strings, scores}
  Napi::Value object(Napi::Env env) const {
    Napi::Object result = Napi::Object::New(env);
    if (is_string_) {
      result.Set("keys", strings_value(env, strings_, count_));
    } else {
      Napi::Float64Array keys = Napi::Float64Array::New(env, count_);
      std::copy(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(count_), keys.Data());
      result.Set("keys", keys);
    }
    Napi::Float32Array scores = Napi::Float32Array::New(env, count_);
    std::copy(scores_.begin(), scores_.begin() + static_cast<std::ptrdiff_t>(count_),
              scores.Data());
    result.Set("scores", scores);
    return result;
  }

 private:
  std::vector<Hit> hits_;
  std::vector<double> keys_;
  std::vector<std::string> strings_;
  std::vector<float> scores_;
  std::size_t count_ = 0;
  bool is_string_ = false;
};

class WithinJob final : public Job {
 public:
  WithinJob(Napi::Env env, IndexPointer index, Span<float> query, float score,
            const SearchOptions& options, Restrictions restrictions)
      : Job(env),
        index_(std::move(index)),
        query_(query.data, query.data + query.size),
        score_(score),
        options_(options),
        restrictions_(std::move(restrictions)) {}
  void run() override {
    restrictions_.give_to(options_);
    found_.search(*index_, query_.data(), score_, options_);
  }
  Napi::Value result(Napi::Env env) override { return found_.object(env); }

 private:
  IndexPointer index_;
  std::vector<float> query_;
  float score_;
  SearchOptions options_;
  Restrictions restrictions_;
  Within found_;
};

float score_argument(const Napi::Value& value) {
  const double score = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!std::isfinite(score)) throw Error(Code::kArgument, "score must be a finite number");
  return static_cast<float>(score);
}

// (handle, query, score, ef, restrictions?) -> Promise<{keys, scores}>
Napi::Value search_within(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const SearchOptions options = beam_argument(info[3]);
    Restrictions restrictions(info[4], 1, Restrictions::For::kAnother);
    const Span<float> query = vector_argument(info[1], index->dim(), "query");
    require_finite(query.data, 1, query.size, "query");
    return Jobs::of(info.Env())
        .start(std::make_unique<WithinJob>(info.Env(), index, query, score_argument(info[2]),
                                           options, std::move(restrictions)),
               Jobs::Where::kPool);
  });
}

// (handle, query, score, ef, restrictions?) -> {keys, scores}
Napi::Value search_within_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Restrictions restrictions(info[4], 1, Restrictions::For::kThisThread);
    SearchOptions options = beam_argument(info[3]);
    restrictions.give_to(options);
    const Span<float> query = vector_argument(info[1], index->dim(), "query");
    Within found;
    found.search(*index, query.data, score_argument(info[2]), options);
    return found.object(info.Env());
  });
}

}  // namespace

void export_within_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexSearchWithin", search_within);
  export_function(env, exports, "indexSearchWithinSync", search_within_sync);
}

}  // namespace lichen::addon
