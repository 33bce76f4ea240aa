#pragma once
// Scratch files for tests.

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "index/vector_index.hpp"

namespace lichen::test {

// A folder of its own, removed with what is in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    char name[] = "/tmp/lichen-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~ScratchFolder() {
    for (const std::string& name : names()) ::unlink((path_ + "/" + name).c_str());
    ::rmdir(path_.c_str());
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    DIR* folder = ::opendir(path_.c_str());
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") found.push_back(name);
    }
    ::closedir(folder);
    return found;
  }

 private:
  std::string path_;
};

inline std::vector<char> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

inline void write_file(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::uint64_t save(const VectorIndex& index, const std::string& path) {
  Progress progress;
  const std::uint64_t bytes = index.save(path, {}, progress);
  if (progress.done.load() > bytes) throw std::runtime_error("progress went past the end");
  return bytes;
}

}  // namespace lichen::test
