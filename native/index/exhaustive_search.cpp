// Searches that score every row, on threads that share the rows or on a device.

#include <algorithm>
#include <array>

#include "index/scan.hpp"
#include "index/vector_index.hpp"
#include "index/writer_claim.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// Candidates a result where a search does not say, by what the codes of a type are worth; of
// principal components they are worth at most as much as the second says.
constexpr std::array<std::size_t, kStorageTypeNames.size()> kOversample = {1, 2, 2, 2, 4, 16, 16};
constexpr std::size_t kOversampleOfComponents = 4;

std::size_t default_oversample(const CodecOptions& options) {
  const std::size_t of_type = kOversample[static_cast<std::size_t>(options.type)];
  return options.components > 0 ? std::max(of_type, kOversampleOfComponents) : of_type;
}

constexpr std::size_t kRowsOnTheirWay = 64;

}  // namespace

std::size_t VectorIndex::candidates(const SearchOptions& options) const {
  if (fine_ == nullptr || options.exact) return options.k;
  const std::size_t oversample =
      options.oversample != 0 ? options.oversample : default_oversample(options_);
  const std::size_t rows = store_.rows();
  return options.k > rows / oversample ? rows : options.k * oversample;
}

std::size_t VectorIndex::rescore(const float* query, const Hit* candidates, std::size_t count,
                                 std::size_t k, Hit* hits) const {
  thread_local QueryBatch prepared;
  thread_local std::vector<std::uint32_t> ids;
  thread_local std::vector<float> scored;
  prepared.prepare(*fine_, query, 1);
  ids.resize(count);
  scored.resize(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = candidates[i].row;
  // In the order of rows, memory is read forwards; a few are on their way together anyway.
  if (count > kRowsOnTheirWay) std::sort(ids.begin(), ids.end());
  fine_->distances(prepared[0], ids.data(), count, scored.data());
  TopK best(hits, k);
  for (std::size_t i = 0; i < count; ++i) best.offer(scored[i], ids[i]);
  return best.finish();
}

void VectorIndex::search_flat(const float* queries, std::size_t count, const SearchOptions& options,
                              Hit* hits, std::uint32_t* counts) const {
  // Reused from call to call: a search must not allocate much. One a thread, as large as its
  // largest use.
  thread_local std::vector<Hit> coarse;
  const bool rerank = fine_ != nullptr && !options.exact;
  const EmbeddingStore& store = rerank ? store_ : finest();
  const std::size_t most = candidates(options);
  Hit* found = hits;
  if (rerank) {
    coarse.resize(std::max(coarse.size(), count * most));
    found = coarse.data();
  }
  scan_all(store, queries, count, options, most, found, counts);
  for (std::size_t q = 0; rerank && q < count; ++q) {
    counts[q] = static_cast<std::uint32_t>(
        rescore(queries + q * dim(), found + q * most, counts[q], options.k, hits + q * options.k));
  }
}

void VectorIndex::scan_all(const EmbeddingStore& store, const float* queries, std::size_t count,
                           const SearchOptions& options, std::size_t most, Hit* hits,
                           std::uint32_t* counts) const {
  thread_local QueryBatch prepared;
  thread_local std::vector<TopK> best;
  prepared.prepare(store, queries, count);
  const RowFilter* const filter = admitted(options);
  DeviceScan* const device = &store == &store_ ? device_.get() : fine_device_.get();
  // Neither number ever falls, and each changes with the lock held.
  const std::uint64_t generation = layout() + rows_taken_back_;
  thread_local std::vector<std::uint32_t> left;
  if (device != nullptr) {
    device->search(store, generation, prepared, filter, most, hits, counts, left);
    if (left.empty()) return;
    prepared.keep(left);
  }
  const auto place = [&](std::size_t i) { return device == nullptr ? i : left[i]; };
  best.clear();
  best.reserve(prepared.size());
  for (std::size_t i = 0; i < prepared.size(); ++i) best.emplace_back(hits + place(i) * most, most);
  scan(store, prepared, filter, 0, store.rows(), best);
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    counts[place(i)] = static_cast<std::uint32_t>(best[i].finish());
  }
}

void VectorIndex::neighbors(std::size_t first, std::size_t count, std::size_t k,
                            std::uint32_t* out) const {
  ReadLock lock(lock_);
  std::fill(out, out + count * k, kNoRow);
  std::vector<std::uint32_t> rows;
  for (std::size_t row = first; row < std::min(first + count, shown_rows()); ++row) {
    if (alive(row)) rows.push_back(static_cast<std::uint32_t>(row));
  }
  SearchOptions options;
  options.exact = true;
  // A row is among its own nearest.
  options.k = std::min(k + 1, shown_rows() - dead_count_);
  std::vector<float> vectors(rows.size() * dim());
  for (std::size_t i = 0; i < rows.size(); ++i)
    finest().decode(rows[i], vectors.data() + i * dim());
  std::vector<Hit> hits(rows.size() * options.k);
  std::vector<std::uint32_t> counts(rows.size());
  if (!rows.empty()) {
    scan_all(finest(), vectors.data(), rows.size(), options, options.k, hits.data(), counts.data());
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::uint32_t* const to = out + (rows[i] - first) * k;
    std::size_t written = 0;
    for (std::size_t h = 0; h < counts[i] && written < k; ++h) {
      const std::uint32_t row = hits[i * options.k + h].row;
      if (row != rows[i]) to[written++] = row;
    }
  }
}

void VectorIndex::use_device(int device, std::size_t bytes) {
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  if (!DeviceScan::holds(storage())) {
    throw Error(Code::kUnsupported,
                "vectors of this storage type are not for a device: f32, f16, bf16, i8 and b1 are");
  }
  if (device_ != nullptr) throw Error(Code::kArgument, "the index has a device already");
  auto made = std::make_unique<DeviceScan>(device, bytes);
  std::unique_ptr<DeviceScan> fine;
  if (fine_ != nullptr && DeviceScan::holds(fine_->type()))
    fine = std::make_unique<DeviceScan>(device, bytes);
  WriteLock lock(lock_);
  device_ = std::move(made);
  fine_device_ = std::move(fine);
}

DeviceScan::State VectorIndex::device_state() const {
  if (device_ == nullptr) throw Error(Code::kArgument, "the index has no device");
  DeviceScan::State state = device_->state();
  if (fine_device_ != nullptr) {
    const DeviceScan::State fine = fine_device_->state();
    state.bytes += fine.bytes;
    state.searches += fine.searches;
    state.fallbacks += fine.fallbacks;
  }
  return state;
}

bool VectorIndex::scans(const SearchOptions& options) const {
  // What a device does is not shared out to threads.
  return device_ == nullptr && (kind_ == IndexKind::kFlat || options.exact);
}

SearchParts VectorIndex::parts_of(const SearchOptions& options, std::size_t parts) const {
  check_search(options);
  ReadLock lock(lock_);
  return {parts, shown_rows(), candidates(options), layout()};
}

std::size_t VectorIndex::search_part(const float* query, const SearchOptions& options,
                                     const SearchParts& shares, std::size_t part, Hit* hits) const {
  thread_local QueryBatch prepared;
  require_finite(query, 1, dim(), "query");
  ReadLock lock(lock_);
  const EmbeddingStore& store = options.exact ? finest() : store_;
  // Rows of an add that was undone meanwhile are gone.
  const std::size_t rows = std::min(shares.rows, store.rows());
  const std::size_t share =
      (shares.rows / shares.parts + kPqBlockRows) / kPqBlockRows * kPqBlockRows;
  const std::size_t first = std::min(rows, part * share);
  std::vector<TopK> best;
  best.emplace_back(hits, shares.hits);
  prepared.prepare(store, query, 1);
  scan(store, prepared, admitted(options), first, std::min(rows, first + share), best);
  return best[0].finish();
}

std::size_t VectorIndex::merge_parts(const float* query, const SearchOptions& options,
                                     const SearchParts& shares, Hit* all, std::size_t count,
                                     Hit* hits) const {
  ReadLock lock(lock_);
  count = static_cast<std::size_t>(
      std::remove_if(all, all + count, [&](const Hit& hit) { return hit.row >= store_.rows(); }) -
      all);
  std::sort(all, all + count, nearer);
  count = std::min(count, shares.hits);
  if (fine_ != nullptr && !options.exact) return rescore(query, all, count, options.k, hits);
  std::copy(all, all + count, hits);
  return count;
}

std::vector<Hit> VectorIndex::search_within(const float* query, float score,
                                            const SearchOptions& options) const {
  require_finite(query, 1, dim(), "query");
  ReadLock lock(lock_);
  if (store_.rows() == 0) return {};
  return within_locked(query, score_of(metric(), score), options);
}

std::vector<Hit> VectorIndex::within_locked(const float* query, float limit,
                                            const SearchOptions& options) const {
  return scan_rows_within(query, limit, admitted(options));
}

std::vector<Hit> VectorIndex::scan_rows_within(const float* query, float limit,
                                               const RowFilter* filter) const {
  QueryBatch prepared;
  prepared.prepare(finest(), query, 1);
  return scan_within(finest(), prepared, limit, filter);
}

}  // namespace lichen
