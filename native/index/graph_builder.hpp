#pragma once
// GraphBuilder: links rows of a store into a graph, several threads at once. Malkov and Yashunin,
// "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
// World graphs", TPAMI 2020: of the nearest rows those are linked that are nearer to the new one
// than to any linked before. A list that is full is pruned by the new link alone: it pushes out
// those behind it that are nearer to it than to the list's row, or else gives way to one before it,
// or else the farthest goes. So a list costs one gather of its rows, for which the new row stands
// ready as a query; lengths of links are remembered while building.
//
// Distances are those of the store's codes. A row's neighbours are all found before its first link
// is written, and links are written from level 0 upwards, so whoever reaches a row on one level can
// go on below it.

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "index/graph_search.hpp"
#include "index/hnsw_graph.hpp"
#include "index/neighbor_lists.hpp"
#include "runtime/aligned.hpp"
#include "runtime/progress.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

class GraphBuilder {
 public:
  // Rows from `before` on are to be linked; `vectors` holds theirs, or is null. Other vectors are
  // decoded from `finest`.
  GraphBuilder(HnswGraph& graph, const EmbeddingStore& store, const EmbeddingStore& finest,
               const float* vectors, std::size_t before, std::size_t ef_construction);

  // Links some rows; false if it was cancelled. Progress counts them.
  bool link(const std::vector<std::uint32_t>& rows, std::size_t threads, Progress& progress);
  // The same in a graph without links, from lists of neighbors, of which the first ef_construction
  // are used; see graph_from_lists.cpp. Rows that are not to be linked now are linked to by none.
  bool link_lists(const NeighborLists& lists, const std::vector<std::uint32_t>& rows,
                  std::size_t threads, Progress& progress);
  // Makes the lists of older rows and the entry what they were.
  void undo();
  // Rows that new ones must not be linked to: a bit a row, or null.
  void avoid(const std::uint8_t* dead) { dead_ = dead; }
  // The graph without its dead rows, `rows` being the others and new_numbers[r] the number of row r
  // (kNoRow for a dead one). A list with dead rows is chosen anew from what is left of it and what
  // they led to (Singh et al., "FreshDiskANN", 2021). Null if it was cancelled.
  std::unique_ptr<HnswGraph> compacted(const std::vector<std::uint32_t>& rows,
                                       const std::vector<std::uint32_t>& new_numbers,
                                       std::size_t threads, Progress& progress) const;

 private:
  // What a thread needs.
  struct Scratch {
    SearchScratch search;
    std::vector<std::vector<Hit>> chosen;  // a list a level
    std::vector<Hit> candidates;
    std::vector<Hit> skipped;
    std::vector<std::uint32_t> ids;
    std::vector<float> lengths;
    std::vector<float> distances;
    std::vector<float> vector;
    QueryBatch of_row;
  };

  // Remembers lengths of links from now on, if `count` rows are to be linked.
  void remember_lengths(std::size_t count);
  void insert(std::uint32_t row, Scratch& scratch);
  // Links `neighbour` to the row that the scratch's search has as its query, unless it is already.
  void link_back(Hit neighbour, std::uint32_t row, std::size_t level, Scratch& scratch);
  // Whether the full list in the scratch (ids, and the lengths of its links) takes a new link.
  bool prune(std::uint32_t row, float length, Scratch& scratch) const;
  // A row of the store as a query.
  const PreparedQuery& as_query(std::uint32_t row, QueryBatch& batch, Scratch& scratch) const;
  const PreparedQuery& as_other_query(std::uint32_t row, Scratch& scratch) const;
  // Keeps of the scratch's candidates (nearest first, spoilt afterwards) as many as a list of the
  // level holds, each nearer to the base than to any kept before it; on level 0 the nearest others
  // as well, as long as there are fewer than m. hnswlib links a new row to m others at most, which
  // costs recall wherever more than m of them lie in different directions.
  void select_links(std::size_t level, std::vector<Hit>& kept, Scratch& scratch) const;
  void set_list(std::uint32_t row, std::size_t level, const std::vector<Hit>& links);
  void measure_links(std::uint32_t row, std::size_t level, Scratch& scratch) const;
  bool remembers(std::size_t level) const { return level == 0 && lengths_.size() > 0; }
  // Lengths of the links of a row on level 0, by slot; 0 where they are not known.
  float* lengths_of(std::uint32_t row) { return lengths_.data() + row * graph_.capacity(0); }
  const float* lengths_of(std::uint32_t row) const {
    return lengths_.data() + row * graph_.capacity(0);
  }
  // Makes the scratch's candidates what a search of a level finds, the dead left out.
  void find_candidates(const GraphSearch& search, const PreparedQuery& query, Hit from,
                       std::size_t level, Scratch& scratch) const;
  // Makes them its ids, nearest first.
  void score_candidates(const PreparedQuery& query, Scratch& scratch) const;
  struct ListTask;
  // Gives a row its links on level 0 by its list.
  void choose_links(const ListTask& task, std::uint32_t row, Scratch& scratch);
  // Links those back to a row that it links to on level 0.
  void link_others_back(std::uint32_t row, Scratch& scratch);
  // Links a row on level 0 and what a search from the entry finds, both ways.
  void link_reached(std::uint32_t row, Scratch& scratch);
  // How many of some rows a walk from the entry over level 0 does not come to, and those of them
  // from which walks come to the rest.
  std::vector<std::uint32_t> unreached(const std::vector<std::uint32_t>& rows,
                                       std::size_t& count) const;
  void save(std::uint32_t row, std::size_t level);
  bool is_dead(std::uint32_t row) const {
    return dead_ != nullptr && (dead_[row / 8] >> (row % 8) & 1);
  }
  // Whether the row's list leads to no dead row; else what could stand in for it, as candidates.
  bool mend(std::uint32_t row, std::size_t level, const std::vector<std::uint32_t>& new_numbers,
            Scratch& scratch) const;

  HnswGraph& graph_;
  const EmbeddingStore& store_;
  const EmbeddingStore& finest_;
  const float* vectors_;
  const std::uint8_t* dead_ = nullptr;
  std::size_t before_;
  std::size_t ef_construction_;
  HnswGraph::Entry entry_before_;
  std::mutex raise_entry_;  // held while a row of a new highest level is linked
  // None for an add that is small beside the graph.
  AlignedBuffer<float> lengths_;
  std::mutex log_mutex_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> log_;  // lists of older rows
};

}  // namespace lichen
