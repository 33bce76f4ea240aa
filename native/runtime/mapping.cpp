#include "runtime/mapping.hpp"

#include <sys/mman.h>

#include <new>

namespace lichen {

Mapping::Mapping(int file, std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
#ifdef MAP_NORESERVE
  // Else the system might want swap space for pages that are never written to.
  constexpr int kFlags = MAP_PRIVATE | MAP_NORESERVE;
#else
  constexpr int kFlags = MAP_PRIVATE;
#endif
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags, file, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<char*>(memory);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace lichen
