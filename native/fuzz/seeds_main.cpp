// Writes the seeds of every target: fuzz_seeds FOLDER makes FOLDER/snapshot/0, FOLDER/journal/0 …

#include <cstdio>
#include <filesystem>

#include "fuzz/targets.hpp"
#include "test/files.hpp"

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  for (const lichen::fuzz::Target& target : lichen::fuzz::targets()) {
    const std::filesystem::path folder = std::filesystem::path(arguments[1]) / target.name;
    std::filesystem::create_directories(folder);
    std::size_t number = 0;
    for (const lichen::fuzz::Bytes& seed : target.seeds()) {
      lichen::test::write_file(folder / std::to_string(number++), seed);
    }
    std::printf("%s: %zu seeds\n", target.name, number);
  }
}
