// All rows of a graph index that are near enough to a query.

#include <algorithm>

#include "index/hnsw_index.hpp"
#include "index/search_cost.hpp"

namespace lichen {

std::vector<Hit> HnswIndex::within_locked(const float* query, float limit,
                                          const SearchOptions& options) const {
  if (options.exact) return VectorIndex::within_locked(query, limit, options);
  const std::size_t shown = shown_rows();
  const RowFilter* const filter = admitted(options);
  const std::size_t selected = filter == nullptr ? shown : filter->selected();
  const std::size_t ef = beam_for(options);
  const SearchCost cost(shown, finest().row_bytes(), store_.bytes() + graph_->bytes(),
                        graph_->capacity(0));
  // The beam, what lies within the distance and what lies beyond are expanded.
  if (options.may_scan && cost.way(selected, 2 * ef) == SearchWay::kScan) {
    return scan_rows_within(query, limit, filter);
  }
  ScratchPool::Loan loan = scratch_.borrow();
  SearchScratch& scratch = *loan;
  if (!within_graph(query, limit, ef, cost.budget(selected) / 2, scratch)) {
    return scan_rows_within(query, limit, filter);
  }
  std::vector<Hit>& near = scratch.within;
  near.erase(std::remove_if(near.begin(), near.end(),
                            [&](const Hit& hit) {
                              return hit.row >= shown ||
                                     (filter != nullptr && !filter->admits(hit.row));
                            }),
             near.end());
  std::vector<Hit> found(near.begin(), near.end());
  if (fine_ != nullptr) score_finely(query, found);
  found.erase(std::remove_if(found.begin(), found.end(),
                             [&](const Hit& hit) { return !(hit.distance <= limit); }),
              found.end());
  std::sort(found.begin(), found.end(), nearer);
  return found;
}

void HnswIndex::score_finely(const float* query, std::vector<Hit>& hits) const {
  thread_local QueryBatch prepared;
  thread_local std::vector<std::uint32_t> rows;
  thread_local std::vector<float> distances;
  prepared.prepare(*fine_, query, 1);
  rows.resize(hits.size());
  distances.resize(hits.size());
  for (std::size_t i = 0; i < hits.size(); ++i) rows[i] = hits[i].row;
  fine_->distances(prepared[0], rows.data(), rows.size(), distances.data());
  for (std::size_t i = 0; i < hits.size(); ++i) hits[i].distance = distances[i];
}

bool HnswIndex::within_graph(const float* query, float limit, std::size_t ef, std::size_t budget,
                             SearchScratch& scratch) const {
  const HnswGraph::Entry entry = graph_->entry();
  if (entry.row == kNoRow) return false;
  scratch.query.prepare(store_, query, 1);
  const PreparedQuery& prepared = scratch.query[0];
  const GraphSearch search(store_, *graph_, scratch);
  const Beam& beam = scratch.beam;
  const bool by_hubs = hubs_ != nullptr && calibration_.plan.hubs_a_place > 0;
  search.start(ef);
  if (by_hubs) {
    hubs_->enter(prepared, std::min(ef * calibration_.plan.hubs_a_place, hubs_->size()), scratch,
                 AllRows{});
  } else {
    search.enter(search.descend(prepared, entry, 0), AllRows{});
  }
  EarlyExit exit;
  exit.within = limit;
  search.expand(prepared, 0, AllRows{}, exit);

  std::vector<Hit>& near = scratch.within;
  near.clear();
  for (std::size_t i = 0; i < beam.size(); ++i) near.push_back(beam.hit(i));
  if (fine_ != nullptr) {
    // Codes may show a row farther than it is: as far off as those that were looked at.
    score_finely(query, near);
    float error = 0.0f;
    for (std::size_t i = 0; i < near.size(); ++i) {
      error = std::max(error, beam.distance(i) - near[i].distance);
      near[i].distance = beam.distance(i);
    }
    limit += error;
  }
  while (!near.empty() && !(near.back().distance <= limit)) near.pop_back();
  // The beam has held them all, and has looked beyond.
  if (near.size() <= ef / 2) return true;

  std::vector<Hit>& beyond = scratch.beyond;
  beyond.clear();
  GraphSearch::Spread met{near, beyond};
  scratch.visited.start(graph_->rows());
  for (const Hit& hit : near) scratch.visited.meet(hit.row);
  if (by_hubs) {
    hubs_->score(prepared, hubs_->size(),
                 [&](const float* distances, const std::uint32_t* rows, std::size_t count) {
                   for (std::size_t i = 0; i < count; ++i) {
                     if (!scratch.visited.meet(rows[i])) continue;
                     met.take({distances[i], rows[i]}, limit);
                   }
                 });
  }
  if (!search.spread(prepared, limit, budget, met)) return false;
  // Links lead to some over rows that are a little farther: as many again.
  const std::size_t more = std::min(near.size(), beyond.size());
  if (more == 0) return true;
  const auto last = beyond.begin() + static_cast<std::ptrdiff_t>(more - 1);
  std::nth_element(beyond.begin(), last, beyond.end(), nearer);
  return search.spread(prepared, last->distance, budget, met);
}

}  // namespace lichen
