#pragma once
// Jobs: work that runs off the JavaScript thread and settles a promise on it. One Jobs a JavaScript
// environment (the main thread, a worker). Finished jobs are collected and JavaScript is woken once
// for all that are there.
//
// When an environment ends, its jobs are cancelled and waited for: they use memory that belongs to
// it.

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "index/vector_index.hpp"

namespace lichen::addon {

class Job {
 public:
  explicit Job(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}
  virtual ~Job() = default;  // on the JavaScript thread

  // How many threads of the pool may work on it at once.
  virtual std::size_t parts() const { return 1; }
  // Off the JavaScript thread, once a part. Whatever it throws rejects the promise.
  virtual void run() = 0;
  // On the JavaScript thread, when every part is done and none threw.
  virtual Napi::Value result(Napi::Env env) = 0;
  virtual void cancel() {}

 private:
  friend class Jobs;
  void run_part();

  Napi::Promise::Deferred deferred_;
  std::atomic<std::size_t> left_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

class Jobs {
 public:
  static Jobs& of(Napi::Env env);
  static void install(Napi::Env env);

  enum class Where { kPool, kOwnThread };
  // Takes the job and returns its promise. Throws (the job unstarted) if no thread can be had.
  Napi::Promise start(std::unique_ptr<Job> job, Where where);

  void set_error_factory(Napi::Function factory) { error_factory_ = Napi::Persistent(factory); }
  const Napi::FunctionReference& error_factory() const { return error_factory_; }

 private:
  explicit Jobs(Napi::Env env);
  ~Jobs() = default;
  void finished(Job* job);
  void settle_finished();
  void shut_down();
  void forget(Job* job);

  Napi::Env env_;
  napi_threadsafe_function wake_ = nullptr;
  Napi::FunctionReference error_factory_;
  std::vector<std::unique_ptr<Job>> active_;  // JavaScript thread only
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t running_ = 0;  // jobs not yet in finished_
  std::vector<Job*> finished_;
  bool woken_ = false;
};

}  // namespace lichen::addon
