#include "runtime/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/error.hpp"

namespace lichen {

void throw_io(const std::string& action, const std::string& path) {
  const int reason = errno;
  const Code code = reason == ENOENT ? Code::kNotFound : Code::kIo;
  throw Error(code, "cannot " + action + " " + path + ": " +
                        (reason == ENOENT ? "no such file or folder" : std::strerror(reason)));
}

namespace {

struct stat status_of(int handle, const std::string& path) {
  struct stat status;
  if (::fstat(handle, &status) != 0) throw_io("read", path);
  return status;
}

}  // namespace

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

void sync_folder_of(const std::string& path) {
  const int handle = ::open(folder_of(path).c_str(), O_RDONLY | O_CLOEXEC);
  if (handle < 0) return;
  ::fsync(handle);
  ::close(handle);
}

File::File(const std::string& path, Mode mode) : path_(path) {
  const int flags = mode == Mode::kRead     ? O_RDONLY
                    : mode == Mode::kWrite  ? O_RDWR
                    : mode == Mode::kCreate ? O_RDWR | O_CREAT | O_EXCL
                                            : O_RDWR | O_CREAT;
  handle_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (handle_ < 0) throw_io(mode == Mode::kCreate ? "create" : "open", path);
}

File::~File() {
  if (handle_ >= 0) ::close(handle_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), handle_(std::exchange(other.handle_, -1)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(handle_, other.handle_);
  return *this;
}

bool File::is_regular() const { return S_ISREG(status_of(handle_, path_).st_mode); }

std::uint64_t File::size() const {
  return static_cast<std::uint64_t>(status_of(handle_, path_).st_size);
}

void File::write_at(std::uint64_t offset, const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::pwrite(handle_, at, bytes, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_io("write", path_);
    at += done;
    offset += static_cast<std::uint64_t>(done);
    bytes -= static_cast<std::size_t>(done);
  }
}

std::size_t File::read_at(std::uint64_t offset, void* target, std::size_t bytes) const {
  char* at = static_cast<char*>(target);
  std::size_t left = bytes;
  while (left > 0) {
    const ssize_t done = ::pread(handle_, at, left, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_io("read", path_);
    if (done == 0) break;
    at += done;
    offset += static_cast<std::uint64_t>(done);
    left -= static_cast<std::size_t>(done);
  }
  return bytes - left;
}

void File::set_size(std::uint64_t bytes) {
  if (::ftruncate(handle_, static_cast<off_t>(bytes)) != 0) throw_io("write", path_);
}

void File::sync_data() {
#ifdef __APPLE__
  // There fsync leaves the data in the drive's own memory.
  if (::fcntl(handle_, F_FULLFSYNC) == 0) return;
  if (::fsync(handle_) != 0) throw_io("write", path_);
#else
  if (::fdatasync(handle_) != 0) throw_io("write", path_);
#endif
}

bool File::try_lock() {
  while (::flock(handle_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) throw_io("lock", path_);
  }
  return true;
}

}  // namespace lichen
