#pragma once
// Mapping: the bytes of a file in memory, which the processes that map it share until one writes to
// them: what it writes is its own, and the file stays as it is. While it lasts the file is locked
// as being read.

#include <cstddef>
#include <string>

namespace lichen {

class Mapping {
 public:
  // Of an open file that has `bytes` bytes; it may be closed afterwards. Throws std::bad_alloc if
  // the system has no room for it.
  Mapping(int file, std::size_t bytes);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  std::size_t bytes_;
  int lock_ = -1;
};

// Removes a file that nobody maps; returns whether it is gone. Throws Error(kIo).
bool remove_unread(const std::string& path);

}  // namespace lichen
