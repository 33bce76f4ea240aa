#include "addon/shares.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/error.hpp"

namespace lichen::addon {
namespace {

constexpr std::size_t kHalfToken = 16;  // hexadecimal digits

// 64 bits that nobody can foretell, as text.
std::string random_digits() {
  std::random_device device;
  std::string digits;
  for (int word = 0; word < 2; ++word) {
    std::uint32_t bits = device();
    for (int i = 0; i < 8; ++i, bits >>= 4) digits += "0123456789abcdef"[bits & 15];
  }
  return digits;
}

class Registry {
 public:
  // Never destroyed: threads may still close what they have while the process exits.
  static Registry& shared() {
    static Registry* const registry = new Registry();
    return *registry;
  }

  std::string add(IndexPointer index) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::string token = process_ + random_digits();
    while (shares_.count(token) > 0) token = process_ + random_digits();
    seen_.erase(std::remove_if(seen_.begin(), seen_.end(),
                               [](const auto& index) { return index.expired(); }),
                seen_.end());
    const bool known = std::any_of(seen_.begin(), seen_.end(), [&](const auto& other) {
      return !other.owner_before(index) && !index.owner_before(other);
    });
    if (!known) seen_.push_back(index);
    shares_.emplace(token, std::move(index));
    return token;
  }

  void remove(const std::string& token) {
    IndexPointer last;  // an index may take long to free: not under the lock
    std::lock_guard<std::mutex> lock(mutex_);
    const auto at = shares_.find(token);
    if (at == shares_.end()) return;
    last.swap(at->second);
    shares_.erase(at);
  }

  IndexPointer find(const std::string& token) const {
    if (token.size() != 2 * kHalfToken || token.compare(0, kHalfToken, process_) != 0) {
      throw Error(Code::kArgument, "share is not one of this process");
    }
    std::lock_guard<std::mutex> lock(mutex_);
    const auto at = shares_.find(token);
    if (at != shares_.end()) return at->second;
    throw Error(Code::kClosed, "the share is closed");
  }

  ShareCounts counts() const {
    std::lock_guard<std::mutex> lock(mutex_);
    ShareCounts counts;
    counts.shares = shares_.size();
    for (const auto& index : seen_) {
      const auto holders = static_cast<std::size_t>(index.use_count());
      counts.indexes += holders > 0 ? 1 : 0;
      counts.holders += holders;
    }
    return counts;
  }

 private:
  const std::string process_ = random_digits();
  mutable std::mutex mutex_;
  std::unordered_map<std::string, IndexPointer> shares_;
  std::vector<std::weak_ptr<VectorIndex>> seen_;
};

}  // namespace

Share::Share(IndexPointer index) : token_(Registry::shared().add(std::move(index))) {}

Share::~Share() { Registry::shared().remove(token_); }

IndexPointer shared_index(const std::string& token) { return Registry::shared().find(token); }

ShareCounts share_counts() { return Registry::shared().counts(); }

}  // namespace lichen::addon
