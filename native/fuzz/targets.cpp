#include "fuzz/targets.hpp"

namespace lichen::fuzz {

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
      {"snapshot", snapshot_target, snapshot_seeds},
      {"journal", journal_target, journal_seeds},
      {"hnswlib", hnswlib_target, hnswlib_seeds},
  };
  return all;
}

}  // namespace lichen::fuzz
