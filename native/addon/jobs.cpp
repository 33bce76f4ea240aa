#include "addon/jobs.hpp"

#include <algorithm>
#include <thread>

#include "addon/convert.hpp"
#include "runtime/thread_pool.hpp"

namespace lichen::addon {

void Job::run_part() {
  try {
    run();
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failure_ == nullptr) failure_ = std::current_exception();
  }
}

Jobs::Jobs(Napi::Env env) : env_(env) {
  const auto wake_up = [](napi_env env, napi_value, void* context, void*) {
    if (env != nullptr) static_cast<Jobs*>(context)->settle_finished();
  };
  const Napi::String name = Napi::String::New(env, "lichen");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                      wake_up, &wake_) != napi_ok) {
    throw Napi::Error::New(env);
  }
  napi_unref_threadsafe_function(env, wake_);
}

// The clean-up hook below frees it, at a known moment.
static void leave_alone(Napi::Env, Jobs*) {}

void Jobs::install(Napi::Env env) {
  Jobs* jobs = new Jobs(env);
  env.SetInstanceData<Jobs, leave_alone>(jobs);
  // Registered after the thread-safe function, so it runs before that one is torn down.
  napi_add_env_cleanup_hook(
      env,
      [](void* data) {
        static_cast<Jobs*>(data)->shut_down();
        delete static_cast<Jobs*>(data);
      },
      jobs);
}

Jobs& Jobs::of(Napi::Env env) { return *env.GetInstanceData<Jobs>(); }

Napi::Promise Jobs::start(std::unique_ptr<Job> job, Where where) {
  Job* const raw = job.get();
  const std::size_t parts = std::max<std::size_t>(1, raw->parts());
  const auto run = [this, raw] {
    raw->run_part();
    if (raw->left_.fetch_sub(1) == 1) finished(raw);
  };
  active_.push_back(std::move(job));
  {
    // Room for it among the finished, so that finishing cannot fail.
    std::lock_guard<std::mutex> lock(mutex_);
    finished_.reserve(active_.size());
    ++running_;
  }
  raw->left_.store(parts);
  std::size_t started = 0;
  try {
    if (where == Where::kOwnThread) {
      std::thread(run).detach();
    } else {
      for (; started < parts; ++started) ThreadPool::shared().submit(run);
    }
  } catch (...) {
    if (started == 0) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        --running_;
      }
      forget(raw);
      throw;
    }
    // Some parts are on their way: they do the work of the rest.
    if (raw->left_.fetch_sub(parts - started) == parts - started) finished(raw);
  }
  if (active_.size() == 1) napi_ref_threadsafe_function(env_, wake_);
  return raw->deferred_.Promise();
}

// On any thread. After this the job belongs to the JavaScript thread again.
void Jobs::finished(Job* job) {
  std::lock_guard<std::mutex> lock(mutex_);
  finished_.push_back(job);
  --running_;
  if (!woken_) {
    woken_ = true;
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }
  // Notified under the lock: shut_down may free this object as soon as it can take it.
  idle_.notify_all();
}

void Jobs::forget(Job* job) {
  const auto at = std::find_if(active_.begin(), active_.end(),
                               [job](const auto& owned) { return owned.get() == job; });
  if (at != active_.end()) active_.erase(at);
}

void Jobs::settle_finished() {
  std::vector<Job*> finished;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    finished.swap(finished_);
    finished_.reserve(active_.size());
    woken_ = false;
  }
  const Napi::HandleScope scope(env_);
  for (Job* job : finished) {
    try {
      if (job->failure_ != nullptr) {
        job->deferred_.Reject(to_js_error(env_, job->failure_));
      } else {
        job->deferred_.Resolve(job->result(env_));
      }
    } catch (const Napi::Error& error) {
      job->deferred_.Reject(error.Value());
    } catch (...) {
      job->deferred_.Reject(to_js_error(env_, std::current_exception()));
    }
    forget(job);
  }
  if (active_.empty()) napi_unref_threadsafe_function(env_, wake_);
}

void Jobs::shut_down() {
  for (const auto& job : active_) job->cancel();
  {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return running_ == 0; });
  }
  active_.clear();
  error_factory_.Reset();
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

}  // namespace lichen::addon
