#pragma once
// VectorIndex: what a flat and a graph index share: rows, keys, metric, the lock, and the calls
// that the boundary makes. Distances inside are "smaller is nearer"; a score is what the caller
// sees (dot and cosine: −distance).
//
// Threads: searches hold the lock shared and may run side by side; add appends rows while holding
// it exclusively. One writer at a time: a second add, or an add beside a save, throws kBusy.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "index/top_k.hpp"
#include "kernels/kernels.hpp"
#include "runtime/progress.hpp"
#include "runtime/rw_lock.hpp"
#include "storage/embedding_store.hpp"
#include "storage/key_map.hpp"
#include "storage/snapshot.hpp"

namespace lichen {

struct SearchOptions {
  std::size_t k = 10;
  std::size_t ef = 0;  // graph only: 0 = max(k, the index's default)
  bool exact = false;  // score every row, whatever the kind of index
};

class VectorIndex {
 public:
  virtual ~VectorIndex() = default;

  IndexKind kind() const { return kind_; }
  std::size_t dim() const { return store_.dim(); }
  Metric metric() const { return store_.metric(); }
  std::size_t rows() const;
  KeyKind key_kind() const;
  virtual std::size_t bytes() const = 0;

  // Copies and checks count × dim() vectors and their keys; throws and changes nothing if any is
  // bad. What the caller handed over is not needed afterwards. The rows are found by searches once
  // link() has run.
  void append(const KeyBatch& keys, const float* vectors, std::size_t count);
  // The long part of an add: makes the appended rows searchable, on `threads` threads of its own.
  // If it is cancelled or fails, the appended rows are removed and the index is as before append.
  void link(std::size_t threads, Progress& progress);

  // Writes at most k results, best first; returns how many. Throws kArgument if k is 0 or more than
  // rows(), kNotFinite.
  std::size_t search(const float* query, const SearchOptions& options, Hit* hits) const;
  // Results of query q at hits + q × k, counts[q] of them. Splits nothing: callers hand out ranges
  // to threads.
  void search_range(const float* queries, std::size_t count, const SearchOptions& options,
                    Hit* hits, std::uint32_t* counts) const;
  void check_search(const SearchOptions& options) const;

  float score_of(float distance) const { return metric() == Metric::kL2 ? distance : -distance; }

  std::uint32_t find(std::int64_t key) const;
  std::uint32_t find(const std::string& key) const;
  // Copies a row (dim() floats; normalized if the metric is cosine).
  void vector_of(std::uint32_t row, float* out) const;
  // Calls visit(keys) under the lock, so that several keys can be read at once.
  template <class Visit>
  void with_keys(Visit&& visit) const {
    ReadLock lock(lock_);
    visit(keys_);
  }

  // Writes a snapshot; returns its size. Searches go on beside it; an add meanwhile throws kBusy,
  // as does save beside an add. Throws kAborted if cancelled; the file at `path` is then what it
  // was.
  std::uint64_t save(const std::string& path, Progress& progress) const;
  static std::unique_ptr<VectorIndex> open(const std::string& path);

 protected:
  VectorIndex(IndexKind kind, std::size_t dim, Metric metric);

  // Called with the lock held exclusively, after rows [before, rows()) were appended. May throw
  // bad_alloc.
  virtual void grow(std::size_t before) = 0;
  // Called without the lock; takes it shared itself. Returns false if cancelled.
  virtual bool link_rows(std::size_t before, std::size_t threads, Progress& progress) = 0;
  // Called with the lock held exclusively: forget the rows from `before` on.
  virtual void undo(std::size_t before) = 0;
  virtual std::size_t search_locked(const float* prepared, const SearchOptions& options,
                                    Hit* hits) const = 0;
  virtual void search_range_locked(const float* prepared, std::size_t count,
                                   const SearchOptions& options, Hit* hits,
                                   std::uint32_t* counts) const;
  // The exact k nearest of each query, ties to the lower row: scores every row, block by block.
  void scan(const float* prepared, std::size_t count, std::size_t k, Hit* hits,
            std::uint32_t* counts) const;
  virtual void describe(SnapshotHeader& header, std::vector<SectionData>& sections) const = 0;
  virtual void load(const SnapshotReader& reader) = 0;

  // distance of the query to `count` rows: contiguous from `first`, or by number.
  void distances(const float* prepared, std::size_t first, std::size_t count, float* out) const {
    rows_kernel_(prepared, store_.row(first), store_.stride(), count, store_.stride(), out);
    if (negate_) negate(out, count);
  }
  void distances(const float* prepared, const std::uint32_t* ids, std::size_t count,
                 float* out) const {
    gather_kernel_(prepared, store_.data(), store_.stride(), ids, count, store_.stride(), out);
    if (negate_) negate(out, count);
  }

  mutable RwLock lock_;
  EmbeddingStore store_;
  KeyMap keys_;

 private:
  static void negate(float* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) values[i] = -values[i];
  }
  void roll_back(std::size_t before);
  void check_k(std::size_t k) const;  // called with the lock held

  IndexKind kind_;
  RowsKernel rows_kernel_;
  GatherKernel gather_kernel_;
  bool negate_;
  mutable std::atomic<bool> writing_{false};  // claimed by an add or a save
  std::size_t linked_ = 0;                    // rows that link() has finished with
};

}  // namespace lichen
