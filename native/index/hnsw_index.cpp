#include "index/hnsw_index.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <type_traits>

#include "index/search_cost.hpp"
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

// Numbers below `count` without some, which rise.
std::vector<std::uint32_t> all_but(const std::vector<std::uint32_t>& some, std::size_t count) {
  std::vector<std::uint32_t> rows;
  auto next = some.begin();
  for (std::uint32_t row = 0; row < count; ++row) {
    if (next != some.end() && *next == row) {
      ++next;
    } else {
      rows.push_back(row);
    }
  }
  return rows;
}

}  // namespace

HnswIndex::HnswIndex(const StorageOptions& storage, const HnswParameters& parameters)
    : VectorIndex(IndexKind::kHnsw, storage),
      parameters_(parameters),
      graph_(std::make_unique<HnswGraph>(require_range("m", parameters.m, kMinM, kMaxM))) {
  require_range("efConstruction", parameters.ef_construction, 1, kMaxEfConstruction);
  store_.keep_factors_together();
}

HnswIndex::HnswIndex(std::size_t dim, Metric metric, const HnswParameters& parameters)
    : HnswIndex(f32_storage(dim, metric), parameters) {}

std::size_t HnswIndex::bytes() const {
  ReadLock lock(lock_);
  // Norms are learned beside searches.
  const std::size_t norms = metric() == Metric::kDot ? store_.rows() * sizeof(float) : 0;
  return bytes_of_rows() + graph_->bytes() + norms + (hubs_ == nullptr ? 0 : hubs_->bytes());
}

// ---- search

std::size_t HnswIndex::beam_for(const SearchOptions& options) const {
  std::size_t ef = options.ef;
  if (options.recall > 0.0) ef = std::max(ef, calibration_.beam_for(options.recall, options.k));
  if (ef == 0) ef = kDefaultEf;
  return std::min(std::max(calibration_.beam_of(ef, options.k), options.k), store_.rows());
}

template <class Admits>
std::size_t HnswIndex::search_graph(const float* query, const GraphSearchOptions& how,
                                    const SearchOptions& options, const Admits& admits, Hit* hits,
                                    SearchScratch& scratch) const {
  const HnswGraph::Entry entry = graph_->entry();
  if (entry.row == kNoRow) return 0;
  scratch.query.prepare(store_, query, 1);
  const PreparedQuery& prepared = scratch.query[0];
  const GraphSearch search(store_, *graph_, scratch);
  search.start(how.ef);
  // Where few rows may be returned, more is to be looked at for as many of them.
  const auto of_all = [&](std::size_t wanted, std::size_t most) {
    return static_cast<std::size_t>(
        std::min(static_cast<double>(most), static_cast<double>(wanted) / how.share));
  };
  if (hubs_ != nullptr && how.plan.hubs_a_place > 0) {
    hubs_->enter(prepared, of_all(how.ef * how.plan.hubs_a_place, hubs_->size()), scratch, admits);
  } else {
    search.enter(search.descend(prepared, entry, 0), admits);
  }
  EarlyExit exit;
  exit.budget = how.budget;
  if (how.plan.patience_of > 0) {
    exit.watch = options.k;
    exit.patience = of_all(std::max(kLeastPatience, how.ef / how.plan.patience_of), how.budget);
  }
  const bool spent = how.two_hops ? search.expand<Hops::kTwo>(prepared, 0, admits, exit)
                                  : search.expand(prepared, 0, admits, exit);
  const Beam& beam = scratch.beam;
  thread_local std::vector<Hit> best;
  best.clear();
  const std::size_t wanted = candidates(options);
  std::size_t admitted = 0;
  for (std::size_t i = 0; i < beam.size(); ++i) {
    if (!admits(beam.row(i))) continue;
    ++admitted;
    if (best.size() < wanted) best.push_back(beam.hit(i));
  }
  // What is admitted lies far from the query, or its rows are too few to lead to one another.
  if (!spent || (how.share < 1.0 && admitted < how.ef / 2)) return 0;
  if (fine_ != nullptr) return rescore(query, best.data(), best.size(), options.k, hits);
  const std::size_t count = std::min(options.k, best.size());
  std::copy(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), hits);
  return count;
}

std::size_t HnswIndex::search_sample(const float* query, std::size_t ef,
                                     const SearchOptions& options, const SearchPlan& plan,
                                     Hit* hits, SearchScratch& scratch) const {
  return search_graph(query, {ef, plan}, options, AllRows{}, hits, scratch);
}

void HnswIndex::search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                              Hit* hits, std::uint32_t* counts) const {
  const std::size_t shown = shown_rows();
  const bool filters = options.filter != nullptr || options.where != nullptr;
  const bool all =
      !filters && options.exclude == nullptr && dead_count_ == 0 && shown == store_.rows();
  const bool shared = linking_.load(std::memory_order_acquire);
  // Each query that excludes rows does so for itself, below.
  SearchOptions for_all = options;
  for_all.exclude = nullptr;
  const RowFilter* filter = filters ? admitted(for_all) : nullptr;
  const std::size_t selected = filter == nullptr ? shown : std::min(shown, filter->selected());
  GraphSearchOptions how{beam_for(options), calibration_.plan};
  const SearchCost cost(shown, store_.row_bytes(), store_.bytes() + graph_->bytes(),
                        graph_->capacity(0));
  SearchWay way = cost.way(selected, how.ef);
  if (way == SearchWay::kScan && !options.may_scan) way = SearchWay::kOneHop;
  if (way == SearchWay::kScan && options.exclude == nullptr) {
    search_flat(queries, count, options, hits, counts);
    return;
  }
  if (!all) {
    how.share = static_cast<double>(selected) / static_cast<double>(shown);
    how.two_hops = way == SearchWay::kTwoHops;
    how.budget = cost.budget(selected);
  }
  ScratchPool::Loan loan = scratch_.borrow();
  SearchScratch& scratch = *loan;
  std::vector<std::uint32_t> excluded;
  for (std::size_t q = 0; q < count; ++q) {
    Hit* const into = hits + q * options.k;
    const float* const query = queries + q * dim();
    std::size_t found = 0;
    if (all) {
      found = search_graph(query, how, options, AllRows{}, into, scratch);
    } else if (way != SearchWay::kScan) {
      excluded_rows(options, q, excluded);
      scratch.excluded.start(graph_->rows());
      for (const std::uint32_t row : excluded) scratch.excluded.meet(row);
      const bool any_dead = dead_count_ > 0;
      const auto admits = [&](std::uint32_t row) {
        return row < shown && (filter == nullptr || filter->admits(row)) &&
               (!any_dead || alive(row)) && !scratch.excluded.has(row);
      };
      found = search_graph(query, how, options, admits, into, scratch);
    }
    counts[q] = static_cast<std::uint32_t>(found);
    // Pruning can cut a part off, above all among rows that are all alike. Whoever asks for k gets
    // k.
    if ((!shared || !all) && found < options.k) {
      search_flat(query, 1, options.of_query(q), into, counts + q);
      // It may have used the same memory for its filter.
      if (filters) filter = admitted(for_all);
    }
  }
}

// ---- add

void HnswIndex::grow(std::size_t rows) {
  // First, so that a failure here is undone.
  linking_.store(true, std::memory_order_release);
  graph_->append(rows, parameters_.seed);
}

void HnswIndex::prepare_growth(std::size_t rows) {
  next_.graph = imported_ != nullptr ? std::move(imported_) : graph_->grown(rows, parameters_.seed);
}

void HnswIndex::finish_growth() noexcept {
  graph_.swap(next_.graph);
  linking_.store(true, std::memory_order_release);
}

void HnswIndex::undo(std::size_t before) {
  if (!linking_.load()) return;  // the add failed before it came to the graph
  if (builder_ != nullptr) builder_->undo();
  builder_.reset();
  graph_->truncate(before);
  if (norms_.size() > before) norms_.resize(before);
  if (hubs_before_.has_value()) hubs_ = std::move(*hubs_before_);
  if (calibration_before_.has_value()) calibration_ = std::move(*calibration_before_);
  hubs_before_.reset();
  calibration_before_.reset();
  linking_.store(false, std::memory_order_release);
}

bool HnswIndex::link_rows(const float* vectors, std::size_t before, std::size_t threads,
                          Progress& progress) {
  if (is_imported_) {
    is_imported_ = false;
    finish_linking(before);
    return true;
  }
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
    builder_ = std::make_unique<GraphBuilder>(*graph_, store_, finest(), vectors, before,
                                              parameters_.ef_construction);
    if (dead_count_ > 0) builder_->avoid(dead_.data());
    const bool linked = neighbors_.empty()
                            ? builder_->link(first, threads, progress)
                            : builder_->link_lists(neighbors_, first, threads, progress);
    if (!linked) return false;
  }
  if (calibrates) {
    learn_norms(before);
    learn_hubs(before, last);
    calibrate_by(last);
    ReadLock lock(lock_);
    if (!builder_->link(last, threads, progress)) return false;
  }
  finish_linking(before);
  return true;
}

void HnswIndex::finish_linking(std::size_t before) {
  learn_norms(before);
  learn_hubs(before);
  builder_.reset();
  hubs_before_.reset();
  calibration_before_.reset();
  linking_.store(false, std::memory_order_release);
}

bool HnswIndex::prepare_compaction(const std::vector<std::uint32_t>& rows,
                                   const std::vector<std::uint32_t>& new_numbers,
                                   std::size_t threads, Progress& progress) {
  const GraphBuilder builder(*graph_, store_, finest(), nullptr, store_.rows(), 0);
  Rest next;
  next.graph = builder.compacted(rows, new_numbers, threads, progress);
  if (next.graph == nullptr) return false;
  if (hubs_ != nullptr && rows.size() >= kRowsForHubs) {
    next.hubs = std::make_unique<Hubs>(store_, norms_, rows);
    next.hubs->renumber(new_numbers);
  }
  if (!norms_.empty()) {
    for (const std::uint32_t row : rows) next.norms.push_back(norms_[row]);
  }
  next_ = std::move(next);
  return true;
}

void HnswIndex::finish_compaction() noexcept {
  graph_.swap(next_.graph);
  norms_.swap(next_.norms);
  hubs_.swap(next_.hubs);
}

void HnswIndex::learn_norms(std::size_t before) {
  if (metric() != Metric::kDot) return;
  const std::size_t rows = store_.rows();
  if (norms_.size() == rows) return;
  norms_.resize(rows);
  std::vector<float> vector(dim());
  for (std::size_t row = before; row < rows; ++row) {
    finest().decode(row, vector.data());
    double square = 0.0;
    for (const float value : vector) square += static_cast<double>(value) * value;
    norms_[row] = static_cast<float>(std::sqrt(square));
  }
}

void HnswIndex::learn_hubs(std::size_t before, const std::vector<std::uint32_t>& without) {
  const std::size_t count = norms_.size() - std::min(norms_.size(), without.size());
  if (count < kRowsForHubs) return;
  // Most adds bring none.
  const bool brings =
      hubs_ == nullptr || hubs_->size() != Hubs::wanted(count) ||
      std::any_of(norms_.begin() + static_cast<std::ptrdiff_t>(before), norms_.end(),
                  [&](float norm) { return norm > hubs_->least_norm(); });
  if (!brings) return;
  auto hubs = std::make_unique<Hubs>(store_, norms_, all_but(without, norms_.size()));
  WriteLock lock(lock_);
  std::swap(hubs_, hubs);
  if (!hubs_before_.has_value()) hubs_before_ = std::move(hubs);
}

}  // namespace lichen
