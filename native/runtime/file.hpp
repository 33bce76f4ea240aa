#pragma once
// File: an open file, and what files that must survive a crash need besides: syncing, also of the
// folder, and a lock against other processes.

#include <cstddef>
#include <cstdint>
#include <string>

namespace lichen {

// Throws Error(kNotFound | kIo) for what errno says: "cannot ACTION PATH: REASON".
[[noreturn]] void throw_io(const std::string& action, const std::string& path);

// The folder part of a path, with its slash; `.` if there is none.
std::string folder_of(const std::string& path);

// What was made, renamed or removed in the folder of `path` stays so. Not every file system lets a
// folder be synced; that is no error.
void sync_folder_of(const std::string& path);

class File {
 public:
  enum class Mode {
    kRead,
    kWrite,   // and read; must be there
    kCreate,  // and write; must not be there
    kLock     // made if it is not there
  };
  File() = default;  // none
  // Throws Error(kNotFound | kIo).
  File(const std::string& path, Mode mode);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  int handle() const { return handle_; }
  // These throw Error(kIo).
  bool is_regular() const;
  std::uint64_t size() const;
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes);
  // Returns how many bytes there were.
  std::size_t read_at(std::uint64_t offset, void* target, std::size_t bytes) const;
  void set_size(std::uint64_t bytes);
  void sync_data();
  // Whether no other opened file of this name has it; it lasts until this one is closed.
  bool try_lock();

 private:
  std::string path_;
  int handle_ = -1;
};

}  // namespace lichen
