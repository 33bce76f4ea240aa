#pragma once

#include <atomic>

#include "runtime/error.hpp"

namespace lichen {

// The right to write, given back at the end of its scope unless it was handed on from append to
// link.
class WriterClaim {
 public:
  enum class Held { kNow, kAlready };

  WriterClaim(std::atomic<bool>& flag, Held held) : flag_(&flag) {
    if (held == Held::kNow && flag.exchange(true, std::memory_order_acquire)) {
      flag_ = nullptr;
      throw Error(Code::kBusy,
                  "another add or save is at work on this index; wait until it has ended");
    }
  }
  ~WriterClaim() { release(); }
  void release() {
    if (flag_ != nullptr) flag_->store(false, std::memory_order_release);
    flag_ = nullptr;
  }
  WriterClaim(const WriterClaim&) = delete;
  WriterClaim& operator=(const WriterClaim&) = delete;
  void hand_on() { flag_ = nullptr; }

 private:
  std::atomic<bool>* flag_;
};

}  // namespace lichen
