#pragma once
// Limits: how many processors and how much memory this process may use. A container limits them by
// control groups (cgroup v1 and v2), which neither the number of processors of the machine nor the
// size of its memory shows. What cannot be read limits nothing.

#include <cstddef>
#include <cstdint>
#include <string>

namespace lichen {

struct Limits {
  // Processors that threads may run on: the affinity mask, or those of the machine; at least 1.
  std::size_t processors = 1;
  // Processor seconds a second, such as 0.5, and the file that says so; 0 without a limit.
  double quota = 0;
  std::string quota_from;
  // Bytes, and the file that says so; 0 without a limit.
  std::uint64_t memory = 0;
  std::string memory_from;

  // Threads that are worth having: `processors`, or fewer, so that the quota suffices for them
  // (rounded up); at least 1.
  std::size_t threads() const;
};

// The limits of now: those of the process's own control groups and of all around them that can be
// seen, whichever is least. Files are looked for below `root` instead of /.
Limits read_limits(const std::string& root = "");

// The threads of read_limits() when it was first asked for.
std::size_t usable_processors();

}  // namespace lichen
