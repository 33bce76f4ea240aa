#include "index/hnsw_index.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "runtime/error.hpp"
#include "runtime/parallel.hpp"

namespace lichen {
namespace {

// Rows that one thread links alone before others join: in a tiny graph concurrent inserts would not
// see each other.
constexpr std::size_t kRowsLinkedAlone = 256;

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

std::size_t list_length(const std::uint32_t* list, std::size_t capacity) {
  std::size_t length = 0;
  while (length < capacity && list[length] != kNoRow) ++length;
  return length;
}

}  // namespace

HnswIndex::HnswIndex(std::size_t dim, Metric metric, const HnswParameters& parameters)
    : VectorIndex(IndexKind::kHnsw, f32_storage(dim, metric)),
      parameters_(parameters),
      gather_(metric == Metric::kL2 ? kernels().f32.l2_gather : kernels().f32.dot_gather),
      graph_(require_range("m", parameters.m, kMinM, kMaxM)) {
  require_range("efConstruction", parameters.ef_construction, 1, kMaxEfConstruction);
  set_entry({});
}

std::size_t HnswIndex::bytes() const {
  ReadLock lock(lock_);
  return bytes_of_stores() + keys_.bytes() + graph_.bytes();
}

HnswIndex::Entry HnswIndex::entry() const {
  const std::uint64_t packed = entry_.load(std::memory_order_acquire);
  return {static_cast<std::uint32_t>(packed), static_cast<std::uint32_t>(packed >> 32)};
}

void HnswIndex::set_entry(Entry entry) {
  entry_.store(std::uint64_t{entry.level} << 32 | entry.row, std::memory_order_release);
}

// ---- search

template <HnswIndex::Access access>
const std::uint32_t* HnswIndex::read_links(std::uint32_t row, std::size_t level,
                                           SearchScratch& scratch) const {
  const std::uint32_t* list = graph_.links(row, level);
  if constexpr (access == Access::kExclusive) return list;
  const HnswGraph::NodeLock lock(graph_, row);
  std::memcpy(scratch.links.data(), list, graph_.capacity(level) * sizeof(std::uint32_t));
  return scratch.links.data();
}

// Goes from neighbour to nearer neighbour until none is nearer.
template <HnswIndex::Access access>
void HnswIndex::descend(const float* query, std::size_t level, Hit& nearest,
                        SearchScratch& scratch) const {
  for (bool moved = true; moved;) {
    moved = false;
    const std::uint32_t* list = read_links<access>(nearest.row, level, scratch);
    const std::size_t length = list_length(list, graph_.capacity(level));
    distances(query, list, length, scratch.distances.data());
    for (std::size_t i = 0; i < length; ++i) {
      if (scratch.distances[i] < nearest.distance) {
        // `list` belongs to the node that is being left, so it is safe to go on reading it.
        nearest = {scratch.distances[i], list[i]};
        moved = true;
      }
    }
  }
}

template <HnswIndex::Access access>
void HnswIndex::search_level(const float* query, Hit start, std::size_t level, std::size_t ef,
                             SearchScratch& scratch) const {
  Beam& beam = scratch.beam;
  const std::size_t capacity = graph_.capacity(level);
  scratch.visited.start(graph_.rows());
  scratch.visited.meet(start.row);
  beam.reset(ef);
  beam.insert(start.distance, start.row);
  for (std::uint32_t row = beam.expand_next(); row != kNoRow; row = beam.expand_next()) {
    const std::uint32_t* list = read_links<access>(row, level, scratch);
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < capacity && list[i] != kNoRow; ++i) {
      scratch.fresh[fresh] = list[i];
      fresh += scratch.visited.meet(list[i]);
    }
    distances(query, scratch.fresh.data(), fresh, scratch.distances.data());
    for (std::size_t i = 0; i < fresh; ++i) beam.insert(scratch.distances[i], scratch.fresh[i]);
    const std::uint32_t next = beam.peek_next();
    if (next != kNoRow) {
      const auto* lines = reinterpret_cast<const char*>(graph_.links(next, level));
      __builtin_prefetch(lines);
      __builtin_prefetch(lines + kCacheLine);
    }
  }
}

template <HnswIndex::Access access>
std::size_t HnswIndex::search_graph(const float* query, std::size_t ef, std::size_t k, Hit* hits,
                                    SearchScratch& scratch) const {
  const Entry start = entry();
  if (start.row == kNoRow) return 0;
  Hit nearest{0.0f, start.row};
  distances(query, &start.row, 1, &nearest.distance);
  for (std::size_t level = start.level; level > 0; --level) {
    descend<access>(query, level, nearest, scratch);
  }
  search_level<access>(query, nearest, 0, ef, scratch);
  const std::size_t count = std::min(k, scratch.beam.size());
  for (std::size_t i = 0; i < count; ++i) hits[i] = scratch.beam.hit(i);
  return count;
}

void HnswIndex::search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                              Hit* hits, std::uint32_t* counts) const {
  thread_local QueryBatch prepared;
  prepared.prepare(store_, queries, count);
  const std::size_t wanted = options.ef == 0 ? kDefaultEf : options.ef;
  const std::size_t ef = std::min(std::max(wanted, options.k), store_.rows());
  ScratchPool::Loan loan = scratch_.borrow();
  SearchScratch& scratch = *loan;
  scratch.fit(graph_.capacity(0));
  const bool shared = linking_.load(std::memory_order_acquire);
  for (std::size_t q = 0; q < count; ++q) {
    Hit* const into = hits + q * options.k;
    const float* query = prepared[q].values;
    counts[q] = static_cast<std::uint32_t>(
        shared ? search_graph<Access::kShared>(query, ef, options.k, into, scratch)
               : search_graph<Access::kExclusive>(query, ef, options.k, into, scratch));
    // Pruning can cut a part off, above all among rows that are all alike. Whoever asks for k gets
    // k.
    if (!shared && counts[q] < options.k) {
      search_flat(queries + q * dim(), 1, options, into, counts + q);
    }
  }
}

// ---- add

void HnswIndex::UndoLog::save(const HnswGraph& graph, std::uint32_t row, std::size_t level) {
  if (row >= before_) return;
  const std::uint64_t place = std::uint64_t{row} << 8 | level;
  const std::uint32_t* list = graph.links(row, level);
  std::lock_guard<std::mutex> lock(mutex_);
  lists_.try_emplace(place, list, list + graph.capacity(level));
}

void HnswIndex::UndoLog::restore(HnswGraph& graph) {
  for (const auto& [place, list] : lists_) {
    const auto row = static_cast<std::uint32_t>(place >> 8);
    std::memcpy(graph.links(row, place & 0xFF), list.data(), list.size() * sizeof(std::uint32_t));
  }
}

void HnswIndex::grow(std::size_t before) {
  entry_before_ = entry();
  log_ = std::make_unique<UndoLog>(before);
  graph_.append(store_.rows(), parameters_.seed);
  linking_.store(true, std::memory_order_release);
}

void HnswIndex::undo(std::size_t before) {
  if (log_ == nullptr) return;  // the add failed before it came to the graph
  log_->restore(graph_);
  log_.reset();
  graph_.truncate(before);
  set_entry(entry_before_);
  linking_.store(false, std::memory_order_release);
}

bool HnswIndex::link_rows(std::size_t before, std::size_t threads, Progress& progress) {
  ReadLock lock(lock_);
  const std::size_t rows = store_.rows();
  const auto make_worker = [&] {
    auto scratch = std::make_unique<InsertScratch>();
    scratch->search.fit(graph_.capacity(0));
    return [&, scratch = std::move(scratch)](std::size_t row) {
      insert(static_cast<std::uint32_t>(row), *scratch, *log_);
      progress.done.fetch_add(1, std::memory_order_relaxed);
    };
  };
  threads = std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(1, (rows - before) / 32));
  const std::size_t alone =
      threads > 1 && before < kRowsLinkedAlone ? std::min(rows, kRowsLinkedAlone) : before;
  if (!run_on_threads(1, before, alone, progress.cancel, make_worker) ||
      !run_on_threads(threads, alone, rows, progress.cancel, make_worker)) {
    return false;
  }
  log_.reset();
  linking_.store(false, std::memory_order_release);
  return true;
}

void HnswIndex::select_diverse(const std::vector<Hit>& candidates, std::size_t most,
                               std::vector<std::uint32_t>& kept) const {
  constexpr std::size_t kPiece = 8;  // what the kernels score at once
  float to_kept[kPiece];
  kept.clear();
  for (const Hit& candidate : candidates) {
    if (kept.size() == most) return;
    const float* row = store_.row(candidate.row);
    bool diverse = true;
    for (std::size_t first = 0; diverse && first < kept.size(); first += kPiece) {
      const std::size_t count = std::min(kPiece, kept.size() - first);
      distances(row, kept.data() + first, count, to_kept);
      for (std::size_t i = 0; i < count; ++i) diverse = diverse && to_kept[i] >= candidate.distance;
    }
    if (diverse) kept.push_back(candidate.row);
  }
}

void HnswIndex::link_back(std::uint32_t row, std::uint32_t neighbour, std::size_t level,
                          InsertScratch& scratch, UndoLog& log) {
  const std::size_t capacity = graph_.capacity(level);
  const HnswGraph::NodeLock lock(graph_, neighbour);
  log.save(graph_, neighbour, level);
  std::uint32_t* list = graph_.links(neighbour, level);
  const std::size_t length = list_length(list, capacity);
  if (length < capacity) {
    list[length] = row;
    return;
  }
  scratch.ids.assign(list, list + capacity);
  scratch.ids.push_back(row);
  scratch.distances.resize(scratch.ids.size());
  distances(store_.row(neighbour), scratch.ids.data(), scratch.ids.size(),
            scratch.distances.data());
  scratch.candidates.clear();
  for (std::size_t i = 0; i < scratch.ids.size(); ++i) {
    const float d = scratch.distances[i];
    // NaN would break the order that the sort relies on.
    scratch.candidates.push_back(
        {d == d ? d : std::numeric_limits<float>::infinity(), scratch.ids[i]});
  }
  std::sort(scratch.candidates.begin(), scratch.candidates.end(), nearer);
  select_diverse(scratch.candidates, capacity, scratch.pruned);
  for (std::size_t i = 0; i < capacity; ++i) {
    list[i] = i < scratch.pruned.size() ? scratch.pruned[i] : kNoRow;
  }
}

void HnswIndex::insert(std::uint32_t row, InsertScratch& scratch, UndoLog& log) {
  const std::size_t level = graph_.level_of(row);
  std::unique_lock<std::mutex> raising(raise_entry_, std::defer_lock);
  Entry start = entry();
  if (start.row == kNoRow || level > start.level) {
    raising.lock();
    start = entry();
    if (start.row == kNoRow) {
      set_entry({row, static_cast<std::uint32_t>(level)});
      return;
    }
    if (level <= start.level) raising.unlock();
  }

  const float* query = store_.row(row);
  Hit nearest{0.0f, start.row};
  distances(query, &start.row, 1, &nearest.distance);
  for (std::size_t l = start.level; l > level; --l) {
    descend<Access::kShared>(query, l, nearest, scratch.search);
  }
  const std::size_t top = std::min<std::size_t>(level, start.level);
  if (scratch.chosen.size() <= top) scratch.chosen.resize(top + 1);
  for (std::size_t l = top + 1; l-- > 0;) {
    search_level<Access::kShared>(query, nearest, l, parameters_.ef_construction, scratch.search);
    const Beam& beam = scratch.search.beam;
    nearest = beam.hit(0);
    scratch.candidates.clear();
    for (std::size_t i = 0; i < beam.size(); ++i) scratch.candidates.push_back(beam.hit(i));
    select_diverse(scratch.candidates, graph_.m(), scratch.chosen[l]);
  }
  for (std::size_t l = 0; l <= top; ++l) {
    const std::vector<std::uint32_t>& chosen = scratch.chosen[l];
    {
      const HnswGraph::NodeLock lock(graph_, row);
      std::copy(chosen.begin(), chosen.end(), graph_.links(row, l));
    }
    for (const std::uint32_t neighbour : chosen) link_back(row, neighbour, l, scratch, log);
  }
  if (level > start.level) set_entry({row, static_cast<std::uint32_t>(level)});
}

// ---- files

void HnswIndex::describe(SnapshotHeader& header, std::vector<SectionData>& sections) const {
  const Entry start = entry();
  header.m = static_cast<std::uint32_t>(parameters_.m);
  header.ef_construction = static_cast<std::uint32_t>(parameters_.ef_construction);
  header.seed = parameters_.seed;
  header.entry_row = start.row;
  header.max_level = start.level;
  sections.push_back({SectionType::kLevels, graph_.levels().data(), graph_.levels().size()});
  sections.push_back({SectionType::kBaseLinks, graph_.base_links().data(),
                      graph_.base_links().size() * sizeof(std::uint32_t)});
  sections.push_back({SectionType::kUpperLinks, graph_.upper_links().data(),
                      graph_.upper_links().size() * sizeof(std::uint32_t)});
}

void HnswIndex::load(const SnapshotReader& reader) {
  const std::size_t rows = store_.rows();
  AlignedBuffer<std::uint8_t> levels = reader.read<std::uint8_t>(SectionType::kLevels, rows);
  const std::size_t lists = HnswGraph::upper_lists(levels);
  AlignedBuffer<std::uint32_t> base =
      reader.read<std::uint32_t>(SectionType::kBaseLinks, rows * 2 * graph_.m());
  AlignedBuffer<std::uint32_t> upper =
      reader.read<std::uint32_t>(SectionType::kUpperLinks, lists * graph_.m());
  graph_.load(std::move(levels), std::move(base), std::move(upper));
  const Entry start{reader.header().entry_row, reader.header().max_level};
  if (rows == 0 ? start.row != kNoRow
                : start.row >= rows || graph_.level_of(start.row) != start.level) {
    throw Error(Code::kFormat, "the entry row is not a row of the highest level");
  }
  set_entry(start);
}

}  // namespace lichen
