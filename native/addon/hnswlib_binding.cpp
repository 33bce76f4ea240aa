#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "index/hnswlib_file.hpp"

namespace lichen::addon {
namespace {

class CheckJob final : public Job {
 public:
  CheckJob(Napi::Env env, std::string path, std::size_t dim)
      : Job(env), path_(std::move(path)), dim_(dim) {}

  void run() override {
    graph_ = read_hnswlib(path_, dim_);
    // Only their soundness was asked for; what is left may wait for the JavaScript thread.
    graph_.vectors = {};
    graph_.base = {};
    graph_.upper = {};
  }

  Napi::Value result(Napi::Env env) override {
    Napi::Float64Array labels = Napi::Float64Array::New(env, graph_.rows);
    Napi::Uint8Array deleted = Napi::Uint8Array::New(env, graph_.rows);
    for (std::size_t row = 0; row < graph_.rows; ++row) {
      labels[row] = static_cast<double>(graph_.labels[row]);
      deleted[row] = graph_.deleted[row];
    }
    Napi::Object report = Napi::Object::New(env);
    report.Set("labels", labels);
    report.Set("deleted", deleted);
    report.Set("m", static_cast<double>(graph_.m));
    report.Set("efConstruction", static_cast<double>(graph_.ef_construction));
    report.Set("capacity", static_cast<double>(graph_.capacity));
    return report;
  }

 private:
  std::string path_;
  std::size_t dim_;
  HnswlibGraph graph_;
};

// (path, dim) -> Promise<{labels, deleted, m, efConstruction, capacity}>
Napi::Value check(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<CheckJob>(info.Env(), string_argument(info[0], "path"),
                                          size_argument(info[1], "dim")),
               Jobs::Where::kOwnThread);
  });
}

}  // namespace

void export_hnswlib_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "hnswlibCheck", check);
}

}  // namespace lichen::addon
