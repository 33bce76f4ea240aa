#pragma once
// Searching an HnswGraph over the codes of a store: from an entry down the levels, then with a beam
// on the lowest one. Rows may be linked meanwhile.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "index/hnsw_graph.hpp"
#include "index/search_scratch.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

// Where the neighbours of a node are looked for: among its links, or, past those that may not be
// returned, among theirs as well (Patel et al., "ACORN: performant and predicate-agnostic search
// over vector embeddings and structured data", SIGMOD 2024).
enum class Hops { kOne, kTwo };

// When a search of a level ends before its beam is spent: after `patience` nodes in a row that
// changed nothing among the first `watch` that may be returned, after `budget` nodes, or with a
// beam full of rows that are not farther than `within`.
struct EarlyExit {
  std::size_t watch = 0;
  std::size_t patience = static_cast<std::size_t>(-1);
  std::size_t budget = static_cast<std::size_t>(-1);
  float within = -std::numeric_limits<float>::infinity();
};

class GraphSearch {
 public:
  GraphSearch(const EmbeddingStore& store, const HnswGraph& graph, SearchScratch& scratch)
      : store_(store), graph_(graph), scratch_(scratch), far_(store.far()) {
    scratch.fit(kMostFresh * graph.capacity(0));
  }

  // The row of level `until` + 1 that walking to ever nearer neighbours ends at, or the entry.
  // There must be an entry.
  Hit descend(const PreparedQuery& query, HnswGraph::Entry entry, std::size_t until) const {
    Hit nearest{0.0f, entry.row};
    store_.distances(query, &entry.row, 1, &nearest.distance);
    for (std::size_t level = entry.level; level > until; --level) {
      for (bool moved = true; moved;) {
        moved = false;
        std::uint32_t* const rows = scratch_.fresh.data();
        const std::size_t count = graph_.copy_list(nearest.row, level, rows);
        store_.distances(query, rows, count, scratch_.distances.data());
        for (std::size_t i = 0; i < count; ++i) {
          if (!(scratch_.distances[i] < nearest.distance)) continue;
          nearest = {scratch_.distances[i], rows[i]};
          moved = true;
        }
      }
    }
    return nearest;
  }

  // Empties beam and set of rows met.
  void start(std::size_t ef) const {
    scratch_.visited.start(graph_.rows());
    scratch_.beam.reset(ef);
  }
  template <class Admits>
  void enter(Hit hit, const Admits& admits) const {
    scratch_.visited.meet(hit.row);
    scratch_.beam.insert(&hit.distance, &hit.row, 1, admits);
  }

  // Expands the beam until it is spent; returns false if the budget was spent before.
  template <Hops hops = Hops::kOne, class Admits>
  bool expand(const PreparedQuery& query, std::size_t level, const Admits& admits,
              EarlyExit exit = {}) const {
    Beam& beam = scratch_.beam;
    std::size_t idle = 0;
    std::size_t budget = exit.budget;
    const std::size_t most = hops == Hops::kOne && far_ ? kTogether : 1;
    for (;;) {
      std::size_t fresh = 0;
      std::size_t nodes = 0;
      for (; nodes < most; ++nodes) {
        const std::uint32_t row = beam.expand_next();
        if (row == kNoRow) break;
        fresh = hops == Hops::kOne ? fresh_neighbours(row, level, fresh)
                                   : fresh_beyond(row, level, admits);
      }
      if (nodes == 0) return true;
      // Most likely the next ones; scoring takes longer than fetching their lists.
      beam.for_next(most, [&](std::uint32_t row) { graph_.prefetch_list(row, level); });
      store_.distances(query, scratch_.fresh.data(), fresh, scratch_.distances.data(),
                       far_ && hops == Hops::kOne);
      scratch_.expanded += nodes;
      scratch_.scored += fresh;
      const std::size_t best =
          beam.insert(scratch_.distances.data(), scratch_.fresh.data(), fresh, admits);
      idle = best < exit.watch ? 0 : idle + nodes;
      if (idle >= exit.patience || beam.worst() <= exit.within) return true;
      if (budget <= nodes) return false;
      budget -= nodes;
      beam.for_next(most, [&](std::uint32_t row) { graph_.prefetch_list(row, level); });
    }
  }

  // Rows met by a search for all within a distance.
  struct Spread {
    std::vector<Hit>& rows;    // within it, each once; those up to `expanded` are expanded
    std::vector<Hit>& beyond;  // farther, each once, and no NaN
    std::size_t expanded = 0;

    void take(const Hit& hit, float limit) {
      if (hit.distance <= limit) {
        rows.push_back(hit);
      } else if (hit.distance == hit.distance) {
        beyond.push_back(hit);
      }
    }
  };
  // Expands rows on level 0 that are not farther than `limit`, and those that they lead to, until
  // no such is left; returns false if that would be more than `budget` nodes.
  bool spread(const PreparedQuery& query, float limit, std::size_t budget, Spread& met) const {
    std::vector<Hit>& rows = met.rows;
    const auto within = [&](const Hit& hit) { return hit.distance <= limit; };
    const auto farther = std::partition(met.beyond.begin(), met.beyond.end(), std::not_fn(within));
    rows.insert(rows.end(), farther, met.beyond.end());
    met.beyond.erase(farther, met.beyond.end());
    while (met.expanded < rows.size()) {
      if (budget < rows.size()) return false;
      const std::size_t nodes = std::min(kTogether, rows.size() - met.expanded);
      std::size_t fresh = 0;
      for (std::size_t i = 0; i < nodes; ++i) {
        fresh = fresh_neighbours(rows[met.expanded++].row, 0, fresh);
      }
      for (std::size_t i = met.expanded; i < std::min(met.expanded + kTogether, rows.size()); ++i) {
        graph_.prefetch_list(rows[i].row, 0);
      }
      store_.distances(query, scratch_.fresh.data(), fresh, scratch_.distances.data(), far_);
      for (std::size_t i = 0; i < fresh; ++i) {
        met.take({scratch_.distances[i], scratch_.fresh[i]}, limit);
      }
    }
    return true;
  }

 private:
  // Behind the `fresh` rows that are there; returns how many there are then.
  std::size_t fresh_neighbours(std::uint32_t row, std::size_t level, std::size_t fresh) const {
    const std::uint32_t* const list = graph_.links(row, level);
    std::uint32_t* const into = scratch_.fresh.data() + fresh;
    const std::size_t count = scratch_.visited.meet_list(
        graph_.capacity(level), graph_.rows(),
        [&](std::size_t i) { return HnswGraph::link(list + i); }, into);
    if (far_) {
      for (std::size_t i = 0; i < count; ++i) store_.prefetch(into[i]);
    }
    return fresh + count;
  }

  // Those that may be returned, in two hops.
  template <class Admits>
  std::size_t fresh_beyond(std::uint32_t row, std::size_t level, const Admits& admits) const {
    const std::uint32_t* const list = graph_.links(row, level);
    const std::size_t capacity = graph_.capacity(level);
    const std::size_t rows = graph_.rows();
    const std::size_t most = (kMostFresh - 1) * capacity;
    std::uint32_t* const into = scratch_.fresh.data();
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < capacity && fresh < most; ++i) {
      const std::uint32_t neighbour = HnswGraph::link(list + i);
      if (neighbour >= rows) break;
      if (i + 1 < capacity) {
        const std::uint32_t next = HnswGraph::link(list + i + 1);
        if (next < rows) graph_.prefetch_list(next, level);
      }
      if (!scratch_.visited.meet(neighbour)) continue;
      if (admits(neighbour)) {
        into[fresh++] = neighbour;
        continue;
      }
      const std::uint32_t* const beyond = graph_.links(neighbour, level);
      for (std::size_t j = 0; j < capacity; ++j) {
        const std::uint32_t other = HnswGraph::link(beyond + j);
        if (other >= rows) break;
        if (admits(other) && scratch_.visited.meet(other)) into[fresh++] = other;
      }
    }
    return fresh;
  }

  // So many nodes are expanded at once where rows are far: memory serves many requests in the time
  // of one.
  static constexpr std::size_t kTogether = 4;
  // Rows that one node may bring, in lengths of a list.
  static constexpr std::size_t kMostFresh = 5;

  const EmbeddingStore& store_;
  const HnswGraph& graph_;
  SearchScratch& scratch_;
  const bool far_;
};

}  // namespace lichen
