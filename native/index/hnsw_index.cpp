#include "index/hnsw_index.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "runtime/error.hpp"

namespace lichen {
namespace {

// From here on there are hubs, and calibration is worth its time.
constexpr std::size_t kRowsForHubs = 1024;
constexpr std::size_t kLeastPatience = 2;

std::size_t require_range(const char* name, std::size_t value, std::size_t low, std::size_t high) {
  if (value < low || value > high) {
    throw Error(Code::kArgument, std::string(name) + " must be an integer from " +
                                     std::to_string(low) + " to " + std::to_string(high) +
                                     ", got " + std::to_string(value));
  }
  return value;
}

StorageOptions f32_storage(std::size_t dim, Metric metric) {
  StorageOptions options;
  options.codec.dim = dim;
  options.codec.metric = metric;
  return options;
}

}  // namespace

HnswIndex::HnswIndex(const StorageOptions& storage, const HnswParameters& parameters)
    : VectorIndex(IndexKind::kHnsw, storage),
      parameters_(parameters),
      graph_(require_range("m", parameters.m, kMinM, kMaxM)) {
  require_range("efConstruction", parameters.ef_construction, 1, kMaxEfConstruction);
}

HnswIndex::HnswIndex(std::size_t dim, Metric metric, const HnswParameters& parameters)
    : HnswIndex(f32_storage(dim, metric), parameters) {}

std::size_t HnswIndex::bytes() const {
  ReadLock lock(lock_);
  return bytes_of_stores() + keys_.bytes() + graph_.bytes() + norms_.capacity() * sizeof(float) +
         (hubs_ == nullptr ? 0 : hubs_->bytes());
}

// ---- search

std::size_t HnswIndex::beam_for(const SearchOptions& options) const {
  std::size_t ef = options.ef;
  if (options.recall > 0.0) ef = std::max(ef, calibration_.beam_for(options.recall, options.k));
  if (ef == 0) ef = kDefaultEf;
  return std::min(std::max(ef, options.k), store_.rows());
}

std::size_t HnswIndex::search_graph(const float* query, std::size_t ef,
                                    const SearchOptions& options, const SearchPlan& plan, Hit* hits,
                                    SearchScratch& scratch) const {
  const HnswGraph::Entry entry = graph_.entry();
  if (entry.row == kNoRow) return 0;
  scratch.query.prepare(store_, query, 1);
  const PreparedQuery& prepared = scratch.query[0];
  const GraphSearch search(store_, graph_, scratch);
  search.start(ef);
  if (hubs_ != nullptr && plan.hubs_a_place > 0) {
    const std::size_t count = std::min(hubs_->size(), ef * plan.hubs_a_place);
    hubs_->enter(prepared, count, scratch, AllRows{});
  } else {
    search.enter(search.descend(prepared, entry, 0), AllRows{});
  }
  EarlyExit exit;
  if (plan.patience_of > 0) {
    exit = {options.k, std::max<std::size_t>(kLeastPatience, ef / plan.patience_of)};
  }
  search.expand(prepared, 0, AllRows{}, exit);
  const Beam& beam = scratch.beam;
  if (fine_ == nullptr) {
    const std::size_t count = std::min(options.k, beam.size());
    for (std::size_t i = 0; i < count; ++i) hits[i] = beam.hit(i);
    return count;
  }
  thread_local std::vector<Hit> coarse;
  coarse.resize(std::min(candidates(options), beam.size()));
  for (std::size_t i = 0; i < coarse.size(); ++i) coarse[i] = beam.hit(i);
  return rescore(query, coarse.data(), coarse.size(), options.k, hits);
}

void HnswIndex::search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                              Hit* hits, std::uint32_t* counts) const {
  const std::size_t ef = beam_for(options);
  ScratchPool::Loan loan = scratch_.borrow();
  const bool shared = linking_.load(std::memory_order_acquire);
  for (std::size_t q = 0; q < count; ++q) {
    Hit* const into = hits + q * options.k;
    counts[q] = static_cast<std::uint32_t>(
        search_graph(queries + q * dim(), ef, options, calibration_.plan, into, *loan));
    // Pruning can cut a part off, above all among rows that are all alike. Whoever asks for k gets
    // k.
    if (!shared && counts[q] < options.k) {
      search_flat(queries + q * dim(), 1, options, into, counts + q);
    }
  }
}

// ---- add

void HnswIndex::grow(std::size_t) {
  graph_.append(std::max(store_.rows(), keys_.size()), parameters_.seed);
  linking_.store(true, std::memory_order_release);
}

void HnswIndex::undo(std::size_t before) {
  if (!linking_.load()) return;  // the add failed before it came to the graph
  if (builder_ != nullptr) builder_->undo();
  builder_.reset();
  graph_.truncate(before);
  if (norms_.size() > before) norms_.resize(before);
  linking_.store(false, std::memory_order_release);
}

bool HnswIndex::link_rows(const float* vectors, std::size_t before, std::size_t threads,
                          Progress& progress) {
  const std::size_t rows = store_.rows();
  std::vector<std::uint32_t> first(rows - before);
  std::iota(first.begin(), first.end(), static_cast<std::uint32_t>(before));
  std::vector<std::uint32_t> last;
  // Some rows wait, to be the queries of calibration: what is linked is found too easily.
  const bool calibrates =
      rows >= kRowsForHubs && rows >= 2 * calibration_.rows && first.size() > rows / 2;
  if (calibrates) {
    const std::size_t step = first.size() / std::min(kCalibrationQueries, first.size() / 4);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (i % step == step - 1) {
        last.push_back(first[i]);
      } else {
        first[kept++] = first[i];
      }
    }
    first.resize(kept);
  }
  {
    ReadLock lock(lock_);
    builder_ = std::make_unique<GraphBuilder>(graph_, store_, finest(), vectors, before,
                                              parameters_.ef_construction);
    if (!builder_->link(first, threads, progress)) return false;
  }
  learn_norms(before);
  if (calibrates) {
    calibrate_by(last);
    ReadLock lock(lock_);
    if (!builder_->link(last, threads, progress)) return false;
  }
  builder_.reset();
  linking_.store(false, std::memory_order_release);
  return true;
}

void HnswIndex::learn_norms(std::size_t before) {
  if (metric() != Metric::kDot) return;
  const std::size_t rows = store_.rows();
  norms_.resize(rows);
  std::vector<float> vector(dim());
  for (std::size_t row = before; row < rows; ++row) {
    finest().decode(row, vector.data());
    double square = 0.0;
    for (const float value : vector) square += static_cast<double>(value) * value;
    norms_[row] = static_cast<float>(std::sqrt(square));
  }
  if (rows < kRowsForHubs) return;
  auto hubs = std::make_unique<Hubs>(store_, norms_);
  WriteLock lock(lock_);
  hubs_ = std::move(hubs);
}

}  // namespace lichen
