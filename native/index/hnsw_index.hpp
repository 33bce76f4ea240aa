#pragma once
// HnswIndex: approximate search by a hierarchical navigable small-world graph (Malkov and Yashunin,
// "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
// World graphs", TPAMI 2020), with the same parameters and the same pruning rule as hnswlib: m
// links a node above level 0, 2m on it.
//
// Rows are linked by several threads at once. A row's neighbours are all found before its first
// link is written, and links are written from level 0 upwards, so whoever reaches a row on one
// level can go on below it.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "index/hnsw_graph.hpp"
#include "index/search_scratch.hpp"
#include "index/vector_index.hpp"

namespace lichen {

struct HnswParameters {
  std::size_t m = 16;
  std::size_t ef_construction = 200;
  std::uint64_t seed = 42;
};

inline constexpr std::size_t kMinM = 2;
inline constexpr std::size_t kMaxM = 512;
inline constexpr std::size_t kMaxEfConstruction = 65536;
// The beam of a search that names none, unless k is larger.
inline constexpr std::size_t kDefaultEf = 64;

class HnswIndex final : public VectorIndex {
 public:
  // Throws Error(kArgument) if a parameter is out of range.
  HnswIndex(std::size_t dim, Metric metric, const HnswParameters& parameters);

  std::size_t bytes() const override;
  const HnswParameters& parameters() const { return parameters_; }

 protected:
  void grow(std::size_t before) override;
  bool link_rows(std::size_t before, std::size_t threads, Progress& progress) override;
  void undo(std::size_t before) override;
  void search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                     Hit* hits, std::uint32_t* counts) const override;
  void describe(SnapshotHeader& header, std::vector<SectionData>& sections) const override;
  void load(const SnapshotReader& reader) override;

 private:
  // Where every search starts: a row of the highest level there is.
  struct Entry {
    std::uint32_t row = kNoRow;
    std::uint32_t level = 0;
  };

  // The lists of older rows as they were before this add, so that it can be undone.
  class UndoLog {
   public:
    explicit UndoLog(std::size_t before) : before_(before) {}
    void save(const HnswGraph& graph, std::uint32_t row, std::size_t level);
    void restore(HnswGraph& graph);

   private:
    std::size_t before_;
    std::mutex mutex_;
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> lists_;
  };

  struct InsertScratch {
    SearchScratch search;
    std::vector<std::vector<std::uint32_t>> chosen;  // a list a level
    std::vector<Hit> candidates;
    std::vector<std::uint32_t> pruned;
    std::vector<std::uint32_t> ids;
    std::vector<float> distances;
  };

  // kShared: lists may be written by others meanwhile, so they are copied under their node's lock.
  enum class Access { kExclusive, kShared };

  template <Access access>
  const std::uint32_t* read_links(std::uint32_t row, std::size_t level,
                                  SearchScratch& scratch) const;
  template <Access access>
  void descend(const float* query, std::size_t level, Hit& nearest, SearchScratch& scratch) const;
  template <Access access>
  void search_level(const float* query, Hit start, std::size_t level, std::size_t ef,
                    SearchScratch& scratch) const;
  template <Access access>
  std::size_t search_graph(const float* query, std::size_t ef, std::size_t k, Hit* hits,
                           SearchScratch& scratch) const;

  // Distance of the query to rows by number.
  void distances(const float* query, const std::uint32_t* ids, std::size_t count,
                 float* out) const {
    gather_(query, store_.data(), store_.row_bytes(), ids, count, store_.stride(), out);
  }
  void insert(std::uint32_t row, InsertScratch& scratch, UndoLog& log);
  void link_back(std::uint32_t row, std::uint32_t neighbour, std::size_t level,
                 InsertScratch& scratch, UndoLog& log);
  // Keeps of `candidates` (nearest first) at most `most`, each nearer to the base than to any kept
  // before it.
  void select_diverse(const std::vector<Hit>& candidates, std::size_t most,
                      std::vector<std::uint32_t>& kept) const;
  Entry entry() const;
  void set_entry(Entry entry);

  HnswParameters parameters_;
  FloatGatherKernel gather_;
  HnswGraph graph_;
  std::atomic<std::uint64_t> entry_;  // Entry, packed
  std::mutex raise_entry_;            // held while a row of a new highest level is linked
  std::atomic<bool> linking_{false};
  std::unique_ptr<UndoLog> log_;
  Entry entry_before_;
  mutable ScratchPool scratch_;
};

}  // namespace lichen
