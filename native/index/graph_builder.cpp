#include "index/graph_builder.hpp"

#include <algorithm>
#include <limits>

#include "runtime/parallel.hpp"

namespace lichen {
namespace {

// Rows that one thread links alone before others join: in a tiny graph concurrent inserts would not
// see each other.
constexpr std::size_t kRowsLinkedAlone = 256;
// Of a graph at least one row in so many must be linked for lengths to be remembered: a small add
// meets few lists twice, and to clear the memory for all lists would take it longer than the rest.
constexpr std::size_t kShareForLengths = 64;

}  // namespace

GraphBuilder::GraphBuilder(HnswGraph& graph, const EmbeddingStore& store,
                           const EmbeddingStore& finest, const float* vectors, std::size_t before,
                           std::size_t ef_construction)
    : graph_(graph),
      store_(store),
      finest_(finest),
      vectors_(vectors),
      before_(before),
      ef_construction_(ef_construction),
      entry_before_(graph.entry()) {}

void GraphBuilder::save(std::uint32_t row, std::size_t level) {
  if (row >= before_) return;
  const std::uint64_t place = std::uint64_t{row} << 8 | level;
  const std::uint32_t* list = graph_.links(row, level);
  std::lock_guard<std::mutex> lock(log_mutex_);
  log_.try_emplace(place, list, list + graph_.capacity(level));
}

void GraphBuilder::undo() {
  for (const auto& [place, list] : log_) {
    const auto row = static_cast<std::uint32_t>(place >> 8);
    graph_.set_list(row, place & 0xFF, list.data(), list.size());
  }
  graph_.set_entry(entry_before_);
}

void GraphBuilder::remember_lengths(std::size_t count) {
  if (lengths_.size() > 0 || count < graph_.rows() / kShareForLengths) return;
  lengths_ = AlignedBuffer<float>::zeros(graph_.rows() * graph_.capacity(0));
}

bool GraphBuilder::link(const std::vector<std::uint32_t>& rows, std::size_t threads,
                        Progress& progress) {
  remember_lengths(rows.size());
  const auto make_worker = [&] {
    auto scratch = std::make_unique<Scratch>();
    return [&, scratch = std::move(scratch)](std::size_t i) {
      insert(rows[i], *scratch);
      progress.done.fetch_add(1, std::memory_order_relaxed);
    };
  };
  threads = std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(1, rows.size() / 32));
  const std::size_t alone =
      threads > 1 && before_ < kRowsLinkedAlone ? std::min(rows.size(), kRowsLinkedAlone) : 0;
  return run_on_threads(1, 0, alone, progress.cancel, make_worker) &&
         run_on_threads(threads, alone, rows.size(), progress.cancel, make_worker);
}

const PreparedQuery& GraphBuilder::as_query(std::uint32_t row, QueryBatch& batch,
                                            Scratch& scratch) const {
  if (vectors_ != nullptr && row >= before_) {
    batch.prepare(store_, vectors_ + (row - before_) * store_.dim(), 1);
    return batch[0];
  }
  scratch.vector.resize(store_.dim());
  finest_.decode(row, scratch.vector.data());
  batch.prepare(store_, scratch.vector.data(), 1);
  return batch[0];
}

// Dozens are wanted for each new row, so they may be a little less exact.
const PreparedQuery& GraphBuilder::as_other_query(std::uint32_t row, Scratch& scratch) const {
  if (!store_.rows_prepare_faster()) return as_query(row, scratch.of_row, scratch);
  scratch.vector.resize(store_.dim());
  scratch.of_row.prepare_row(store_, row, scratch.vector.data());
  return scratch.of_row[0];
}

void GraphBuilder::find_candidates(const GraphSearch& search, const PreparedQuery& query, Hit from,
                                   std::size_t level, Scratch& scratch) const {
  search.start(ef_construction_);
  search.enter(from, AllRows{});
  search.expand(query, level, AllRows{});
  const Beam& beam = scratch.search.beam;
  scratch.candidates.clear();
  for (std::size_t i = 0; i < beam.size(); ++i) {
    if (!is_dead(beam.row(i))) scratch.candidates.push_back(beam.hit(i));
  }
}

void GraphBuilder::score_candidates(const PreparedQuery& query, Scratch& scratch) const {
  const std::vector<std::uint32_t>& ids = scratch.ids;
  scratch.distances.resize(ids.size());
  store_.distances(query, ids.data(), ids.size(), scratch.distances.data());
  scratch.candidates.clear();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const float d = scratch.distances[i];
    // NaN would break the order that the sort relies on.
    scratch.candidates.push_back({d == d ? d : std::numeric_limits<float>::infinity(), ids[i]});
  }
  std::sort(scratch.candidates.begin(), scratch.candidates.end(), nearer);
}

void GraphBuilder::select_links(std::size_t level, std::vector<Hit>& kept, Scratch& scratch) const {
  const std::size_t most = graph_.capacity(level);
  std::vector<Hit>& candidates = scratch.candidates;
  std::vector<Hit>& skipped = scratch.skipped;
  kept.clear();
  skipped.clear();
  // From each row that is kept, those are dropped that are nearer to it than to the base. So only
  // kept rows have to be prepared as queries.
  std::size_t left = candidates.size();
  while (left > 0) {
    const Hit nearest = candidates[0];
    kept.push_back(nearest);
    if (kept.size() == most || --left == 0) break;
    scratch.ids.resize(left);
    scratch.distances.resize(left);
    for (std::size_t i = 0; i < left; ++i) scratch.ids[i] = candidates[i + 1].row;
    const PreparedQuery& query = as_other_query(nearest.row, scratch);
    store_.distances(query, scratch.ids.data(), left, scratch.distances.data());
    std::size_t diverse = 0;
    for (std::size_t i = 0; i < left; ++i) {
      const Hit candidate = candidates[i + 1];
      if (scratch.distances[i] >= candidate.distance) {
        candidates[diverse++] = candidate;
      } else {
        skipped.push_back(candidate);
      }
    }
    left = diverse;
  }
  if (level > 0 || kept.size() >= graph_.m()) return;
  const std::size_t more = std::min(graph_.m() - kept.size(), skipped.size());
  const auto end = skipped.begin() + static_cast<std::ptrdiff_t>(more);
  std::partial_sort(skipped.begin(), end, skipped.end(), nearer);
  kept.insert(kept.end(), skipped.begin(), end);
}

void GraphBuilder::set_list(std::uint32_t row, std::size_t level, const std::vector<Hit>& links) {
  std::uint32_t* const list = graph_.links(row, level);
  for (std::size_t i = 0; i < graph_.capacity(level); ++i) {
    HnswGraph::set_link(list + i, i < links.size() ? links[i].row : kNoRow);
    if (remembers(level) && i < links.size()) lengths_of(row)[i] = links[i].distance;
  }
}

// The lengths of the links of the scratch's ids, which are those of a row.
void GraphBuilder::measure_links(std::uint32_t row, std::size_t level, Scratch& scratch) const {
  const std::size_t count = scratch.ids.size();
  scratch.lengths.resize(count);
  if (remembers(level)) {
    const float* known = lengths_of(row);
    std::copy(known, known + count, scratch.lengths.begin());
    if (std::find(known, known + count, 0.0f) == known + count) return;
  }
  const PreparedQuery& base = as_other_query(row, scratch);
  store_.distances(base, scratch.ids.data(), count, scratch.lengths.data());
}

bool GraphBuilder::prune(std::uint32_t row, float length, Scratch& scratch) const {
  std::vector<std::uint32_t>& ids = scratch.ids;
  std::vector<float>& lengths = scratch.lengths;
  scratch.distances.resize(ids.size());
  store_.distances(scratch.search.query[0], ids.data(), ids.size(), scratch.distances.data());
  std::size_t kept = 0;
  std::size_t farthest = 0;
  bool occluded = false;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const float between = scratch.distances[i];
    if (lengths[i] > length && between < lengths[i]) continue;
    occluded = occluded || (lengths[i] <= length && between < length);
    if (lengths[i] > lengths[farthest]) farthest = kept;
    ids[kept] = ids[i];
    lengths[kept++] = lengths[i];
  }
  const bool full = kept == ids.size();
  ids.resize(kept);
  lengths.resize(kept);
  if (!full) {
    ids.push_back(row);
    lengths.push_back(length);
    return true;
  }
  if (occluded || !(length < lengths[farthest])) return false;
  ids[farthest] = row;
  lengths[farthest] = length;
  return true;
}

void GraphBuilder::link_back(Hit neighbour, std::uint32_t row, std::size_t level,
                             Scratch& scratch) {
  const std::size_t capacity = graph_.capacity(level);
  const HnswGraph::NodeLock lock(graph_, neighbour.row);
  save(neighbour.row, level);
  std::uint32_t* const list = graph_.links(neighbour.row, level);
  const std::size_t length = graph_.length(list, level);
  if (std::find(list, list + length, row) != list + length) return;
  if (length < capacity) {
    if (remembers(level)) lengths_of(neighbour.row)[length] = neighbour.distance;
    HnswGraph::set_link(list + length, row);
    return;
  }
  scratch.ids.assign(list, list + capacity);
  measure_links(neighbour.row, level, scratch);
  if (!prune(row, neighbour.distance, scratch)) return;
  graph_.set_list(neighbour.row, level, scratch.ids.data(), scratch.ids.size());
  if (!remembers(level)) return;
  std::copy(scratch.lengths.begin(), scratch.lengths.end(), lengths_of(neighbour.row));
}

void GraphBuilder::insert(std::uint32_t row, Scratch& scratch) {
  const std::size_t level = graph_.level_of(row);
  std::unique_lock<std::mutex> raising(raise_entry_, std::defer_lock);
  HnswGraph::Entry start = graph_.entry();
  if (start.row == kNoRow || level > start.level) {
    raising.lock();
    start = graph_.entry();
    if (start.row == kNoRow) {
      graph_.set_entry({row, static_cast<std::uint32_t>(level)});
      return;
    }
    if (level <= start.level) raising.unlock();
  }

  const GraphSearch search(store_, graph_, scratch.search);
  const PreparedQuery& query = as_query(row, scratch.search.query, scratch);
  Hit nearest = search.descend(query, start, level);
  const std::size_t top = std::min<std::size_t>(level, start.level);
  if (scratch.chosen.size() <= top) scratch.chosen.resize(top + 1);
  const Beam& beam = scratch.search.beam;
  for (std::size_t l = top + 1; l-- > 0;) {
    find_candidates(search, query, nearest, l, scratch);
    if (beam.size() > 0) nearest = beam.hit(0);
    if (scratch.candidates.empty()) scratch.candidates.push_back(nearest);
    select_links(l, scratch.chosen[l], scratch);
  }
  for (std::size_t l = 0; l <= top; ++l) {
    {
      // Nobody links to it yet on this level.
      const HnswGraph::NodeLock lock(graph_, row);
      set_list(row, l, scratch.chosen[l]);
    }
    for (const Hit& neighbour : scratch.chosen[l]) link_back(neighbour, row, l, scratch);
  }
  if (level > start.level) graph_.set_entry({row, static_cast<std::uint32_t>(level)});
}

}  // namespace lichen
