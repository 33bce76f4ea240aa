#pragma once
// VectorIndex: what a flat and a graph index share: rows, keys, metric, the lock, and the calls
// that the boundary makes. Distances inside are "smaller is nearer"; a score is what the caller
// sees (dot and cosine: −distance).
//
// Vectors are kept in a store of one storage type and, if wanted, once more in a finer one, by
// which the best of a search are scored anew (rerank).
//
// Rows that are removed or replaced stay as they are, dead, until compaction leaves them out; it
// gives the others new numbers.
//
// Threads: searches hold the lock shared and may run side by side; a writer takes it exclusively to
// put what it has made ready in place (grown arrays, compacted rows, counts), and works beside
// searches otherwise. One writer at a time: a second one throws kBusy.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "index/condition_cache.hpp"
#include "index/device_scan.hpp"
#include "index/neighbor_lists.hpp"
#include "index/query_batch.hpp"
#include "index/row_filter.hpp"
#include "index/top_k.hpp"
#include "index/writer_claim.hpp"
#include "kernels/kernels.hpp"
#include "runtime/progress.hpp"
#include "runtime/rw_lock.hpp"
#include "storage/attribute_table.hpp"
#include "storage/embedding_store.hpp"
#include "storage/journal.hpp"
#include "storage/journal_records.hpp"
#include "storage/key_map.hpp"
#include "storage/snapshot.hpp"

namespace lichen {

struct SearchOptions {
  std::size_t k = 10;
  std::size_t ef = 0;          // graph only: 0 = max(k, the index's default)
  double recall = 0.0;         // graph only: the beam is the one that reached it in calibration
  std::size_t oversample = 0;  // × k are scored anew if there is a finer store; 0 = by storage type
  bool exact = false;          // score every row in the finest store
  bool may_scan = true;        // graph only: every row is scored where that costs less
  const RowFilter* filter = nullptr;
  std::uint64_t filter_layout = 0;  // the layout whose rows the filter has; 0 = the present one
  // Keys that query q must not find are those from exclude_offsets[q] on to exclude_offsets[q + 1];
  // those that are not there do no harm. May be null.
  const KeyBatch* exclude = nullptr;
  const std::size_t* exclude_offsets = nullptr;
  const Condition* where = nullptr;  // on attributes; null for none
  // Of rows with the same value of this attribute at most `group_size` are found; those without a
  // value are all found.
  std::optional<std::size_t> group_by;
  std::size_t group_size = 1;

  // As they are for query q alone.
  SearchOptions of_query(std::size_t q) const {
    SearchOptions options = *this;
    if (exclude != nullptr) options.exclude_offsets += q;
    return options;
  }
};

// How the rows of one search are shared out: fixed at its start, since an add may end between
// parts.
struct SearchParts {
  std::size_t parts;
  std::size_t rows;  // at the start
  std::size_t hits;  // of a part, at most
  std::uint64_t layout;
};

// How the vectors of an index are kept, and what besides.
struct StorageOptions {
  CodecOptions codec;
  std::optional<StorageType> rerank;
  std::vector<AttributeSpec> attributes;
};

class VectorIndex {
 public:
  virtual ~VectorIndex() = default;

  IndexKind kind() const { return kind_; }
  // These never change, so no lock is needed, while the store itself may be swapped for another.
  std::size_t dim() const { return options_.dim; }
  Metric metric() const { return options_.metric; }
  StorageType storage() const { return options_.type; }
  std::optional<StorageType> rerank() const { return rerank_; }
  const CodecOptions& codec_options() const { return options_; }
  std::size_t rows() const;  // dead ones left out
  std::size_t dead() const;
  std::size_t row_numbers() const;  // one beyond the greatest
  // A number that changes when rows get new numbers.
  std::uint64_t layout() const { return layout_.load(std::memory_order_acquire); }
  KeyKind key_kind() const;
  virtual std::size_t bytes() const = 0;

  // Copies and checks count × dim() vectors and their keys; throws and changes nothing if any is
  // bad. What the caller handed over is not needed afterwards. The rows are found by searches once
  // link() has run. Without a batch of attributes no vector has any; a row that replaces another
  // has its values where the batch gives none. Lists of neighbors start the graph of an index that
  // has no rows yet, unless they are empty.
  void append(const KeyBatch& keys, const float* vectors, std::size_t count,
              KeyMode mode = KeyMode::kAdd, const AttributeBatch* attributes = nullptr,
              NeighborLists neighbors = {});
  // The long part of an add: makes the appended rows searchable, on `threads` threads of its own.
  // If it is cancelled or fails, the appended rows are removed and the index is as before append.
  void link(std::size_t threads, Progress& progress);
  // The rows of some keys die. Throws kUnknownKey | kDuplicateKey and changes nothing.
  void remove(const KeyBatch& keys);
  // Gives the rows of some keys other values of the attributes that the batch gives. Throws
  // kUnknownKey | kDuplicateKey | kArgument and changes nothing.
  void set_attributes(const KeyBatch& keys, const AttributeBatch& values);
  // Leaves dead rows out, mending what led over them, and gives their memory back. Returns false if
  // it was cancelled; the index is then as before.
  bool compact(std::size_t threads, Progress& progress);
  // Learns from queries (count × dim()) how to search best. Throws kNotFinite, and kArgument if the
  // index has nothing to learn.
  virtual void calibrate(const float* queries, std::size_t count);
  // Whether enough rows are dead for it.
  bool wants_compaction() const;

  // Writes at most k results, best first; returns how many. Throws kArgument if k is 0 or more than
  // rows(), kNotFinite.
  std::size_t search(const float* query, const SearchOptions& options, Hit* hits) const;
  // Results of query q at hits + q × k, counts[q] of them. Splits nothing: callers hand out ranges
  // to threads.
  void search_range(const float* queries, std::size_t count, const SearchOptions& options,
                    Hit* hits, std::uint32_t* counts) const;
  void check_search(const SearchOptions& options) const;

  // One query on several threads: whether every row is scored in any case, so that threads can
  // share the rows; how they do; the hits of one part, and how many there are; and what is nearest
  // of all parts' hits, `count` of them, which are spoilt.
  bool scans(const SearchOptions& options) const;
  SearchParts parts_of(const SearchOptions& options, std::size_t parts) const;
  std::size_t search_part(const float* query, const SearchOptions& options,
                          const SearchParts& shares, std::size_t part, Hit* hits) const;
  std::size_t merge_parts(const float* query, const SearchOptions& options,
                          const SearchParts& shares, Hit* all, std::size_t count, Hit* hits) const;

  // Every row that scores at least `score` (l2: at most), best first, by the finest store; of a
  // graph those that it leads to, unless the search is exact. Of the options k and oversample say
  // nothing.
  std::vector<Hit> search_within(const float* query, float score,
                                 const SearchOptions& options) const;

  // Of each of rows [first, first + count) the k nearest other rows by the finest store, exactly,
  // nearest first, as row numbers: k a row, kNoRow where there are not so many. Dead rows are
  // nobody's neighbours and have none.
  void neighbors(std::size_t first, std::size_t count, std::size_t k, std::uint32_t* out) const;

  // Rows on whose attributes a condition holds now: bit r % 8 of byte r / 8.
  std::vector<std::uint8_t> rows_where(const Condition& condition) const;
  // Calls visit(rows, attributes) with the rows of some keys, under the lock. Throws kUnknownKey.
  template <class Visit>
  void with_attributes(const KeyBatch& keys, Visit&& visit) const {
    ReadLock lock(lock_);
    visit(rows_of(keys), attributes_);
  }
  // It never changes, so no lock is needed.
  const std::vector<AttributeSpec>& attribute_schema() const { return schema_; }

  std::uint32_t find(std::int64_t key) const;
  std::uint32_t find(const std::string& key) const;
  // Copies a row, as the finest store has it (dim() floats; normalized if the metric is cosine).
  void vector_of(std::uint32_t row, float* out) const;
  // Calls visit(keys) under the lock, so that several keys can be read at once.
  template <class Visit>
  void with_keys(Visit&& visit) const {
    ReadLock lock(lock_);
    visit(keys_);
  }
  // Calls visit(row, keys) for every row that is shown and not dead, in order, under the lock.
  template <class Visit>
  void for_each_row(Visit&& visit) const {
    ReadLock lock(lock_);
    for (std::size_t row = 0; row < shown_rows(); ++row) {
      if (alive(row)) visit(static_cast<std::uint32_t>(row), keys_);
    }
  }

  // Writes a snapshot, dead rows included; returns its size. Searches go on beside it; an add
  // meanwhile throws kBusy, as does save beside an add. Throws kAborted if cancelled; the file at
  // `path` is then what it was.
  std::uint64_t save(const std::string& path, const SnapshotLabel& label, Progress& progress) const;
  static std::unique_ptr<VectorIndex> open(const std::string& path, Access access = Access::kRead);
  // Opens the snapshot `path` together with the journal beside it, in which every change is written
  // from now on before it returns; what the snapshot does not have yet is done again. Throws
  // kLocked if it is open so elsewhere, kFormat where the journal is damaged.
  static std::unique_ptr<VectorIndex> open_with_journal(const std::string& path, Access access,
                                                        std::size_t threads);
  bool has_journal() const { return journal_ != nullptr; }
  std::uint64_t journal_bytes() const { return journal_ == nullptr ? 0 : journal_->bytes(); }
  // Exhaustive searches are done on an NVIDIA device from now on, as far as it can; at most `bytes`
  // of its memory are for rows, 0: what is free. Once an index, before it is searched. Throws
  // kUnsupported for a storage type that no device has, kArgument if that was done before,
  // kNoDevice | kOldDriver | kWrongDevice.
  void use_device(int device, std::size_t bytes);
  bool on_device() const { return device_ != nullptr; }
  DeviceScan::State device_state() const;
  // Returns once every change so far is on disk. There must be a journal.
  void sync_journal() { journal_->sync(journal_->last_sequence()); }
  // Saves over the snapshot, after which the journal begins anew. Searches go on beside it, changes
  // once this is made, while `finish` waits for the disk. One at a time: a second throws kBusy.
  class Checkpoint {
   public:
    Checkpoint(const VectorIndex& index, const SnapshotLabel& label, Progress& progress);
    std::uint64_t finish();  // returns the size of the file

   private:
    WriterClaim alone_;
    Journal& journal_;
    JournalPosition position_;
    std::unique_ptr<SnapshotDraft> draft_;
  };
  // As the file says that it was opened from; empty for an index that was made anew.
  const SnapshotLabel& label() const { return label_; }

 protected:
  VectorIndex(IndexKind kind, const StorageOptions& options);

  // So many rows an index has room for besides, without moving any.
  virtual std::size_t room() const = 0;
  // Makes what an index has besides ready for rows up to `rows`: with the lock held exclusively; or
  // beside searches, and then, with the lock held, put in place. May throw bad_alloc.
  virtual void grow(std::size_t rows) = 0;
  virtual void prepare_growth(std::size_t rows) = 0;
  virtual void finish_growth() noexcept = 0;
  // What was replaced, by growth or compaction, is not needed any more; called without the lock.
  virtual void drop_replaced() noexcept = 0;
  // Called without the lock; takes it shared itself. `vectors` holds those of the new rows, or is
  // null. Returns false if cancelled.
  virtual bool link_rows(const float* vectors, std::size_t before, std::size_t threads,
                         Progress& progress) = 0;
  // Called with the lock held exclusively: forget the rows from `before` on.
  virtual void undo(std::size_t before) = 0;
  // Compaction of what an index has besides: make it ready for `rows`, under their new numbers
  // (kNoRow for a dead one), beside searches, or return false if cancelled; then, with the lock
  // held exclusively, put it in place, which must not fail.
  virtual bool prepare_compaction(const std::vector<std::uint32_t>& rows,
                                  const std::vector<std::uint32_t>& new_numbers,
                                  std::size_t threads, Progress& progress) = 0;
  virtual void finish_compaction() noexcept = 0;
  // Not exact; called with the lock held.
  virtual void search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                             Hit* hits, std::uint32_t* counts) const = 0;
  // Rows whose distance by the finest store is not above `limit`, nearest first: every row is
  // scored. Called with the lock held.
  virtual std::vector<Hit> within_locked(const float* query, float limit,
                                         const SearchOptions& options) const;
  // The same of the rows that a filter admits; all, if it is null.
  std::vector<Hit> scan_rows_within(const float* query, float limit, const RowFilter* filter) const;
  virtual void describe(SnapshotHeader& header, std::vector<SectionData>& sections) const = 0;
  virtual void load(const SnapshotReader& reader) = 0;
  // Of all that indexes share.
  std::size_t bytes_of_rows() const;
  // Writes a change down, if there is a journal.
  void log(Change::Kind kind, const KeyBatch& keys, std::size_t count, const float* vectors,
           const AttributeBatch* attributes);
  // Those rows die, each there once. The caller is the only writer.
  void remove_rows(const std::vector<std::uint32_t>& rows);
  const EmbeddingStore& finest() const { return fine_ == nullptr ? store_ : *fine_; }
  // So many of the best by the store's codes are wanted.
  std::size_t candidates(const SearchOptions& options) const;
  // The k nearest of the candidates by the finer store.
  std::size_t rescore(const float* query, const Hit* candidates, std::size_t count, std::size_t k,
                      Hit* hits) const;

  bool alive(std::size_t row) const {
    return dead_count_ == 0 || !(dead_[row / 8] >> (row % 8) & 1);
  }
  // Rows that searches may see: those that replace others are hidden until they all do.
  std::size_t shown_rows() const { return replacing_.empty() ? store_.rows() : linked_; }
  // Rows of the filter, in today's numbers, on which the condition holds and that are shown, alive
  // and not excluded by the first query; null if that is every row. Lives until this thread's next
  // call.
  const RowFilter* admitted(const SearchOptions& options) const;
  // Rows that query q excludes.
  void excluded_rows(const SearchOptions& options, std::size_t q,
                     std::vector<std::uint32_t>& rows) const;

  void search_any(const float* queries, std::size_t count, const SearchOptions& options, Hit* hits,
                  std::uint32_t* counts) const;
  // The k nearest of one query, of each group not more than are wanted.
  std::size_t search_grouped(const float* query, const SearchOptions& options, Hit* hits) const;
  // The k nearest of each query, ties to the lower row: every row is scored, in the store and the
  // best anew in the finer one, or in the finest alone. All exclude what the first one does.
  void search_flat(const float* queries, std::size_t count, const SearchOptions& options, Hit* hits,
                   std::uint32_t* counts) const;
  // The `most` nearest by the codes of one store.
  void scan_all(const EmbeddingStore& store, const float* queries, std::size_t count,
                const SearchOptions& options, std::size_t most, Hit* hits,
                std::uint32_t* counts) const;

  mutable RwLock lock_;
  mutable std::atomic<bool> writing_{false};  // claimed by a change or a save
  std::size_t dead_count_ = 0;
  std::vector<std::uint8_t> dead_;  // a bit a row, also of those being added; empty while none is
  EmbeddingStore store_;
  std::unique_ptr<EmbeddingStore> fine_;
  KeyMap keys_;
  AttributeTable attributes_;
  NeighborLists neighbors_;  // of the add that is at work; mostly empty

 private:
  // Whether rows are encoded by link, beside searches, and not by append.
  bool encodes_late() const { return fine_ != nullptr || store_.type() != StorageType::kF32; }
  bool encode_pending(std::size_t before, std::size_t threads, Progress& progress);
  // A key's row, unless it is still being added.
  std::uint32_t present(std::uint32_t row) const;
  void kill(std::uint32_t row);
  std::vector<std::uint32_t> rows_of(const KeyBatch& keys) const;
  // The same, each key but once. Throws kDuplicateKey.
  std::vector<std::uint32_t> distinct_rows_of(const KeyBatch& keys) const;
  static void add_attributes(AttributeTable& table, const AttributeBatch& values, std::size_t count,
                             const std::vector<Replacement>& replacing);
  void append_here(const KeyBatch& keys, const float* vectors, std::size_t count, KeyMode mode,
                   const AttributeBatch& attributes);
  // In copies that take the place of what there is, so that searches are kept for a moment only.
  void append_apart(const KeyBatch& keys, const float* vectors, std::size_t count, KeyMode mode,
                    const AttributeBatch& attributes);
  void roll_back(std::size_t before);
  // For as many results as there are rows at most; called with the lock held.
  void search_held(const float* queries, std::size_t count, const SearchOptions& options, Hit* hits,
                   std::uint32_t* counts) const;
  void load_keys(const SnapshotReader& reader);
  std::unique_ptr<SnapshotDraft> draft_of(const std::string& path, const SnapshotLabel& label,
                                          const JournalPosition* position,
                                          Progress& progress) const;
  // Takes back what was logged last: it failed.
  void unlog();
  void redo(const Change& change, std::size_t threads);

  const IndexKind kind_;
  const CodecOptions options_;
  const std::optional<StorageType> rerank_;
  const std::vector<AttributeSpec> schema_;
  SnapshotLabel label_;
  JournalPosition position_;  // of the snapshot that it was opened from
  std::unique_ptr<Journal> journal_;
  mutable std::atomic<bool> checkpointing_{false};
  AttributeTable::Mark attributes_before_;  // the add that is at work
  std::uint64_t attribute_state_ = 0;       // changes with values that were there
  // Of the store and of the finer one, if searches are done there.
  std::unique_ptr<DeviceScan> device_, fine_device_;
  std::uint64_t rows_taken_back_ = 0;  // adds that were undone
  mutable ConditionCache conditions_;
  std::size_t linked_ = 0;              // rows that link() has finished with
  std::vector<float> pending_;          // appended, not yet encoded
  std::vector<Replacement> replacing_;  // by the rows that are being added
  std::atomic<std::uint64_t> layout_{1};
  std::vector<std::uint32_t> new_numbers_;  // of the last compaction, by old number
};

}  // namespace lichen
