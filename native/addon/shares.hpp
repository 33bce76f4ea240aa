#pragma once
// Shares: what lets a JavaScript thread attach to an index that another one of the process has. A
// share holds the index under a token until it is closed, collected, or its thread ends; whoever
// attaches holds the index itself.

#include <cstddef>
#include <memory>
#include <string>

#include "addon/arguments.hpp"

namespace lichen::addon {

class Share {
 public:
  explicit Share(IndexPointer index);
  ~Share();
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  // Of 128 bits: half are of the process, half of the share.
  const std::string& token() const { return token_; }

 private:
  std::string token_;
};

// The index that is shared under a token. Throws kClosed if the share is there no more, kArgument
// for what is no token of this process.
IndexPointer shared_index(const std::string& token);

struct ShareCounts {
  std::size_t shares = 0;   // open ones
  std::size_t indexes = 0;  // that were ever shared and are still in memory
  std::size_t holders = 0;  // of those: handles of all threads, shares, operations at work
};
ShareCounts share_counts();

}  // namespace lichen::addon
