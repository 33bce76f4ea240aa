#pragma once
// Searching an HnswGraph over the codes of a store: from an entry down the levels, then with a beam
// on the lowest one. Rows may be linked meanwhile.

#include <cstddef>
#include <cstdint>

#include "index/hnsw_graph.hpp"
#include "index/search_scratch.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

struct AllRows {
  bool operator()(std::uint32_t) const { return true; }
};

// When a search of a level ends before its beam is spent: after `patience` nodes in a row that
// changed nothing among the first `watch`.
struct EarlyExit {
  std::size_t watch = 0;
  std::size_t patience = static_cast<std::size_t>(-1);
};

class GraphSearch {
 public:
  GraphSearch(const EmbeddingStore& store, const HnswGraph& graph, SearchScratch& scratch)
      : store_(store), graph_(graph), scratch_(scratch) {
    scratch.fit(graph.capacity(0));
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

  // Expands the beam until it is spent.
  template <class Admits>
  void expand(const PreparedQuery& query, std::size_t level, const Admits& admits,
              EarlyExit exit = {}) const {
    Beam& beam = scratch_.beam;
    std::size_t idle = 0;
    for (std::uint32_t row = beam.expand_next(); row != kNoRow; row = beam.expand_next()) {
      const std::size_t fresh = fresh_neighbours(row, level);
      store_.distances(query, scratch_.fresh.data(), fresh, scratch_.distances.data());
      ++scratch_.expanded;
      scratch_.scored += fresh;
      const std::size_t best =
          beam.insert(scratch_.distances.data(), scratch_.fresh.data(), fresh, admits);
      idle = best < exit.watch ? 0 : idle + 1;
      if (idle == exit.patience) return;
      const std::uint32_t next = beam.peek_next();
      if (next != kNoRow) graph_.prefetch_list(next, level);
    }
  }

 private:
  std::size_t fresh_neighbours(std::uint32_t row, std::size_t level) const {
    const std::uint32_t* const list = graph_.links(row, level);
    const std::size_t capacity = graph_.capacity(level);
    std::uint32_t* const into = scratch_.fresh.data();
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < capacity; ++i) {
      const std::uint32_t neighbour = HnswGraph::link(list + i);
      if (neighbour == kNoRow) break;
      into[fresh] = neighbour;
      fresh += scratch_.visited.meet(neighbour);
    }
    return fresh;
  }

  const EmbeddingStore& store_;
  const HnswGraph& graph_;
  SearchScratch& scratch_;
};

}  // namespace lichen
