#include "index/vector_index.hpp"

#include <algorithm>

#include "index/writer_claim.hpp"
#include "runtime/error.hpp"
#include "runtime/parallel.hpp"

namespace lichen {
namespace {

// Rows that a thread encodes at a time; a multiple of a pq block.
constexpr std::size_t kRowsEncoded = 256;
// An add of more than one row in so many that there are is made ready apart.
constexpr std::size_t kLargeShare = 4;

}  // namespace

VectorIndex::VectorIndex(IndexKind kind, const StorageOptions& options)
    : store_(options.codec),
      attributes_(options.attributes),
      kind_(kind),
      options_(store_.codec().options()),
      rerank_(options.rerank),
      schema_(options.attributes) {
  if (!options.rerank.has_value()) return;
  // The same type of all values is finer than of some components.
  const bool whole_is_finer = options.codec.components > 0 && *options.rerank == options.codec.type;
  if (*options.rerank >= options.codec.type && !whole_is_finer) {
    throw Error(Code::kArgument,
                std::string("rerank must be a finer storage type than ") +
                    kStorageTypeNames[static_cast<std::size_t>(options.codec.type)] + ", got " +
                    kStorageTypeNames[static_cast<std::size_t>(*options.rerank)]);
  }
  CodecOptions fine = options.codec;
  fine.type = *options.rerank;
  fine.components = 0;
  fine_ = std::make_unique<EmbeddingStore>(fine);
}

std::size_t VectorIndex::bytes_of_rows() const {
  return store_.bytes() + (fine_ == nullptr ? 0 : fine_->bytes()) + keys_.bytes() +
         attributes_.bytes() + conditions_.bytes();
}

std::size_t VectorIndex::rows() const {
  ReadLock lock(lock_);
  return shown_rows() - dead_count_;
}

std::size_t VectorIndex::row_numbers() const {
  ReadLock lock(lock_);
  return store_.rows();
}

std::size_t VectorIndex::dead() const {
  ReadLock lock(lock_);
  return dead_count_;
}

KeyKind VectorIndex::key_kind() const {
  ReadLock lock(lock_);
  return keys_.kind();
}

void VectorIndex::append(const KeyBatch& keys, const float* vectors, std::size_t count,
                         KeyMode mode, const AttributeBatch* attributes, NeighborLists neighbors) {
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  require_finite(vectors, count, dim(), "vectors");
  if (!neighbors.empty()) {
    if (kind_ != IndexKind::kHnsw || mode != KeyMode::kAdd || store_.rows() > 0) {
      throw Error(Code::kArgument, "neighbors are for an add to a graph index that has no rows");
    }
    neighbors.check(count);
  }
  const AttributeBatch none = AttributeBatch::of_none(schema_.size());
  const AttributeBatch& values = attributes == nullptr ? none : *attributes;
  const std::size_t before = store_.rows();
  const std::size_t rows = before + count;
  attributes_before_ = attributes_.mark();
  const std::size_t most = std::min(
      {store_.room(), fine_ == nullptr ? rows : fine_->room(), attributes_.room(), room()});
  if (rows > most || count > before / kLargeShare || !keys_.has_room(keys, count)) {
    append_apart(keys, vectors, count, mode, values);
  } else {
    append_here(keys, vectors, count, mode, values);
  }
  try {
    // Without the neighbors: a graph that is made again from the journal is searched for.
    log(static_cast<Change::Kind>(mode), keys, count, vectors, attributes);
  } catch (...) {
    WriteLock lock(lock_);
    roll_back(before);
    throw;
  }
  neighbors_ = std::move(neighbors);
  claim.hand_on();
}

void VectorIndex::append_here(const KeyBatch& keys, const float* vectors, std::size_t count,
                              KeyMode mode, const AttributeBatch& attributes) {
  WriteLock lock(lock_);
  const std::size_t before = store_.rows();
  try {
    replacing_ = keys_.append(keys, count, mode);
    add_attributes(attributes_, attributes, count, replacing_);
    if (encodes_late()) {
      store_.reserve(before + count);
      if (fine_ != nullptr) fine_->reserve(before + count);
      pending_.assign(vectors, vectors + count * dim());
    } else {
      store_.append(vectors, count);
    }
    if (dead_count_ > 0) dead_.resize((before + count + 7) / 8, 0);
    grow(before + count);
  } catch (...) {
    roll_back(before);
    throw;
  }
  linked_ = before;
}

void VectorIndex::append_apart(const KeyBatch& keys, const float* vectors, std::size_t count,
                               KeyMode mode, const AttributeBatch& attributes) {
  const std::size_t before = store_.rows();
  const std::size_t rows = before + count;
  KeyMap grown_keys(keys_);
  std::vector<Replacement> replacing = grown_keys.append(keys, count, mode);
  AttributeTable grown_attributes(attributes_);
  add_attributes(grown_attributes, attributes, count, replacing);
  EmbeddingStore store = store_.grown(rows);
  std::unique_ptr<EmbeddingStore> fine;
  if (fine_ != nullptr) fine = std::make_unique<EmbeddingStore>(fine_->grown(rows));
  std::vector<float> pending;
  if (encodes_late()) {
    pending.assign(vectors, vectors + count * dim());
  } else {
    store.append(vectors, count);
  }
  std::vector<std::uint8_t> dead = dead_;
  if (dead_count_ > 0) dead.resize((rows + 7) / 8, 0);
  prepare_growth(rows);
  WriteLock lock(lock_);
  std::swap(keys_, grown_keys);
  std::swap(attributes_, grown_attributes);
  std::swap(store_, store);
  std::swap(fine_, fine);
  std::swap(dead_, dead);
  replacing_.swap(replacing);
  pending_.swap(pending);
  linked_ = before;
  finish_growth();
  lock.unlock();
  drop_replaced();
}

void VectorIndex::link(std::size_t threads, Progress& progress) {
  WriterClaim claim(writing_, WriterClaim::Held::kAlready);
  const std::size_t before = linked_;
  progress.total.store(encodes_late() ? pending_.size() / dim() : store_.rows() - before);
  try {
    if (!encode_pending(before, threads, progress) ||
        !link_rows(pending_.empty() ? nullptr : pending_.data(), before, threads, progress)) {
      throw Error(Code::kAborted, "add was aborted");
    }
    pending_ = {};
    neighbors_ = {};
    WriteLock lock(lock_);
    if (dead_count_ > 0 || !replacing_.empty()) dead_.resize((store_.rows() + 7) / 8, 0);
    for (const Replacement& pair : replacing_) kill(pair.old_row);
    replacing_.clear();
    linked_ = store_.rows();
  } catch (...) {
    {
      WriteLock lock(lock_);
      roll_back(before);
    }
    unlog();
    throw;
  }
}

bool VectorIndex::encode_pending(std::size_t before, std::size_t threads, Progress& progress) {
  if (!encodes_late()) return true;
  const std::vector<float>& vectors = pending_;
  const std::size_t count = vectors.size() / dim();
  std::vector<EmbeddingStore*> stores = {&store_};
  if (fine_ != nullptr) stores.push_back(fine_.get());
  for (EmbeddingStore* store : stores) {
    if (!store->wants_training()) continue;
    std::unique_ptr<Codec> codec = store->trained_codec(vectors.data(), count);
    WriteLock lock(lock_);
    store->adopt_codec(std::move(codec));
  }
  // A pq block that holds older rows as well may be read meanwhile: its rest is filled alone.
  const std::size_t shared = std::min(count, (kPqBlockRows - before % kPqBlockRows) % kPqBlockRows);
  if (shared > 0) {
    WriteLock lock(lock_);
    for (EmbeddingStore* store : stores) store->encode(vectors.data(), 0, shared);
  }
  const std::size_t pieces = (count - shared + kRowsEncoded - 1) / kRowsEncoded;
  const bool done = run_on_threads(threads, 0, pieces, progress.cancel, [&] {
    return [&](std::size_t piece) {
      const std::size_t from = shared + piece * kRowsEncoded;
      const std::size_t to = std::min(count, from + kRowsEncoded);
      for (EmbeddingStore* store : stores) store->encode(vectors.data(), from, to);
      progress.done.fetch_add(to - from, std::memory_order_relaxed);
    };
  });
  if (!done) return false;
  WriteLock lock(lock_);
  for (EmbeddingStore* store : stores) {
    store->publish(before + count);
    store->set_trained();
  }
  return true;
}

void VectorIndex::roll_back(std::size_t before) {
  undo(before);
  ++rows_taken_back_;
  store_.truncate(before);
  if (fine_ != nullptr) fine_->truncate(before);
  // What the first add taught goes with it.
  if (before == 0) {
    store_.forget_training();
    if (fine_ != nullptr) fine_->forget_training();
  }
  if (keys_.size() > before) keys_.truncate(before, replacing_);
  attributes_.undo(attributes_before_);
  ++attribute_state_;
  replacing_.clear();
  pending_ = {};
  neighbors_ = {};
}

void VectorIndex::check_search(const SearchOptions& options) const {
  if (options.k == 0) throw Error(Code::kArgument, "k must be an integer of at least 1, got 0");
}

std::size_t VectorIndex::search(const float* query, const SearchOptions& options, Hit* hits) const {
  std::uint32_t count = 0;
  search_range(query, 1, options, hits, &count);
  return count;
}

void VectorIndex::search_range(const float* queries, std::size_t count,
                               const SearchOptions& options, Hit* hits,
                               std::uint32_t* counts) const {
  check_search(options);
  require_finite(queries, count, dim(), count == 1 ? "query" : "queries");
  ReadLock lock(lock_);
  const std::size_t most = shown_rows() - dead_count_;
  if (options.k <= most) {
    search_held(queries, count, options, hits, counts);
    return;
  }
  // All that there is, each query by itself: results keep the places that were asked for.
  for (std::size_t q = 0; q < count; ++q) {
    counts[q] = 0;
    if (most == 0) continue;
    SearchOptions fewer = options.of_query(q);
    fewer.k = most;
    search_held(queries + q * dim(), 1, fewer, hits + q * options.k, counts + q);
  }
}

void VectorIndex::search_held(const float* queries, std::size_t count, const SearchOptions& options,
                              Hit* hits, std::uint32_t* counts) const {
  if (!options.group_by.has_value()) {
    search_any(queries, count, options, hits, counts);
    return;
  }
  attributes_.require_groupable(*options.group_by);
  for (std::size_t q = 0; q < count; ++q) {
    counts[q] = static_cast<std::uint32_t>(
        search_grouped(queries + q * dim(), options.of_query(q), hits + q * options.k));
  }
}

std::uint32_t VectorIndex::find(std::int64_t key) const {
  ReadLock lock(lock_);
  return present(keys_.find(key));
}

std::uint32_t VectorIndex::find(const std::string& key) const {
  ReadLock lock(lock_);
  return present(keys_.find(std::string_view(key)));
}

void VectorIndex::vector_of(std::uint32_t row, float* out) const {
  ReadLock lock(lock_);
  if (row < store_.rows()) finest().decode(row, out);
}

}  // namespace lichen
