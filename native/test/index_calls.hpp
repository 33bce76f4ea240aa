#pragma once
// Calls of an index, in fewer words.

#include <vector>

#include "index/vector_index.hpp"

namespace lichen::test {

inline void add(VectorIndex& index, const float* vectors, std::size_t count,
                std::size_t threads = 1) {
  Progress progress;
  index.append({}, vectors, count);
  index.link(threads, progress);
}

inline std::vector<std::uint32_t> rows_of(const VectorIndex& index, const float* query,
                                          std::size_t k, std::size_t ef = 0) {
  std::vector<Hit> hits(k);
  SearchOptions options;
  options.k = k;
  options.ef = ef;
  options.may_scan = ef == 0;
  hits.resize(index.search(query, options, hits.data()));
  std::vector<std::uint32_t> rows;
  for (const Hit& hit : hits) rows.push_back(hit.row);
  return rows;
}

}  // namespace lichen::test
