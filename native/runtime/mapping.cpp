#include "runtime/mapping.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "runtime/error.hpp"
#include "runtime/file.hpp"

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
  // Whoever would remove the file sees that it is read. Not every file system has locks.
  lock_ = ::fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (lock_ >= 0) ::flock(lock_, LOCK_SH | LOCK_NB);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
  if (lock_ >= 0) ::close(lock_);
}

bool remove_unread(const std::string& path) {
  try {
    File file(path, File::Mode::kRead);
    if (!file.try_lock()) return false;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_io("remove", path);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
  }
  return true;
}

}  // namespace lichen
