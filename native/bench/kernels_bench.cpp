// What the kernels reach beside what the machine can do and beside simsimd, one thread. Prints one
// JSON document.
//
//   kernels_bench [--limits] [--rounds N]      --limits: the limits alone

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/limits.hpp"
#include "bench/sections.hpp"

namespace lichen::bench {
namespace {

int run(bool only_limits, int rounds) {
  Inputs inputs;
  std::vector<Group> groups{limits(inputs)};
  if (!only_limits) {
    const std::vector<const Kernels*> tables = runnable_kernels();
    const Kernels& best = *tables.back();
    add_rows(inputs, best, kDims, groups);
    add_gathers(inputs, best, groups);
    add_tiles(inputs, best, kDims, groups);
    add_simsimd(inputs, best, groups);
    for (std::size_t i = tables.size() - 1; i-- > 0;) {
      add_rows(inputs, *tables[i], kFewDims, groups);
      add_tiles(inputs, *tables[i], kFewDims, groups);
    }
  }
  measure(groups, rounds);
  print_json(groups);
  return 0;
}

}  // namespace
}  // namespace lichen::bench

int main(int count, char** arguments) {
  bool only_limits = false;
  int rounds = 5;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--limits") == 0) {
      only_limits = true;
    } else if (std::strcmp(arguments[i], "--rounds") == 0 && i + 1 < count) {
      rounds = std::atoi(arguments[++i]);
    } else {
      rounds = 0;
    }
  }
  if (rounds < 1) {
    std::fprintf(stderr, "usage: %s [--limits] [--rounds N]\n", arguments[0]);
    return 2;
  }
  return lichen::bench::run(only_limits, rounds);
}
