// Starting a graph from lists of nearest neighbors.
//
// Links to the nearest alone make islands wherever rows lie in groups: a graph that is built row by
// row owes its long links to those that came early, when little was near. So rows are ranked at
// random, and each chooses its links among what would have been there before it: those of its list
// with a lower rank, and the links of the first ones. These (the seeds) are searched for and linked
// as ever, the rows of the upper levels among them. Late rows, which would have met nearly all,
// have their whole lists instead, and no long links. Then all are linked back, as in any add, and
// what cannot be reached is searched for.

#include <algorithm>

#include "index/graph_builder.hpp"
#include "runtime/parallel.hpp"
#include "runtime/random.hpp"

namespace lichen {
namespace {

// One row in so many is a seed, besides those of the upper levels. Of more a build takes longer;
// fewer cost recall where rows lie in groups.
constexpr std::size_t kSeedShare = 6;
// So many seeds of a list are asked for their links, which is where long links come from.
constexpr std::size_t kSeedsAsked = 4;
constexpr std::size_t kMostSweeps = 4;
// For the dot product: one row in so many is searched for at most.
constexpr std::size_t kMostUnreached = 8;

constexpr std::uint64_t kLastRank = ~std::uint64_t{0};
constexpr std::uint64_t kLateFrom = kLastRank / 5 * 3;

std::uint64_t rank_of(std::uint32_t row) { return splitmix64(0, row); }

}  // namespace

struct GraphBuilder::ListTask {
  enum Role : std::uint8_t { kNone, kSeed, kOther };

  const NeighborLists& lists;
  std::vector<Role> roles;  // by row; rows without one are not linked to

  bool is_before(std::uint32_t row, std::uint64_t rank) const {
    return roles[row] == kSeed || (roles[row] == kOther && rank_of(row) < rank);
  }
};

bool GraphBuilder::link_lists(const NeighborLists& lists, const std::vector<std::uint32_t>& rows,
                              std::size_t threads, Progress& progress) {
  ListTask task{lists, std::vector<ListTask::Role>(graph_.rows(), ListTask::kNone)};
  std::vector<std::uint32_t> seeds;
  std::vector<std::uint32_t> others;
  for (const std::uint32_t row : rows) {
    const bool first = rank_of(row) < kLastRank / kSeedShare;
    const bool is_seed = first || graph_.level_of(row) > 0 || rows.size() < kSeedShare;
    task.roles[row] = is_seed ? ListTask::kSeed : ListTask::kOther;
    (is_seed ? seeds : others).push_back(row);
  }
  remember_lengths(rows.size());
  if (!link(seeds, threads, progress)) return false;

  const auto visit = [&](const std::vector<std::uint32_t>& some, const auto& work) {
    return run_on_threads(threads, 0, some.size(), progress.cancel, [&] {
      auto scratch = std::make_unique<Scratch>();
      return [&, scratch = std::move(scratch)](std::size_t i) { work(i, *scratch); };
    });
  };
  // Each of two passes is about half of the work.
  const auto count = [&](std::size_t i, std::size_t pass) {
    if (i % 2 == pass) progress.done.fetch_add(1, std::memory_order_relaxed);
  };
  const bool chosen = visit(others, [&](std::size_t i, Scratch& scratch) {
    choose_links(task, others[i], scratch);
    count(i, 0);
  });
  if (!chosen) return false;
  const bool linked = visit(others, [&](std::size_t i, Scratch& scratch) {
    link_others_back(others[i], scratch);
    count(i, 1);
  });
  if (!linked) return false;

  std::size_t left = 0;
  std::vector<std::uint32_t> roots = unreached(rows, left);
  // Where norms differ, many rows are no row's neighbors by the dot product: a build row by row
  // leaves nearly half of some data unreached, none of which a search would return.
  if (store_.metric() == Metric::kDot && left > rows.size() / kMostUnreached) return true;
  for (std::size_t sweep = 0; left > 0 && sweep < kMostSweeps; ++sweep) {
    const std::size_t before = left;
    const auto reach = [&](std::size_t i, Scratch& scratch) { link_reached(roots[i], scratch); };
    if (!visit(roots, reach)) return false;
    roots = unreached(rows, left);
    // Of rows that are all alike most remain: their neighbors' lists are full of others as near.
    if (left > before / 2) break;
  }
  return true;
}

void GraphBuilder::choose_links(const ListTask& task, std::uint32_t row, Scratch& scratch) {
  const std::uint32_t* const list = task.lists.of(row);
  const std::size_t k = std::min(task.lists.k, ef_construction_);
  const auto length = static_cast<std::size_t>(std::find(list, list + k, kNoRow) - list);
  const PreparedQuery& query = as_query(row, scratch.search.query, scratch);

  // A short list says too little to be all that there is.
  const bool is_late = rank_of(row) >= kLateFrom && length >= graph_.m();
  const std::uint64_t rank = is_late ? kLastRank : rank_of(row);

  std::vector<std::uint32_t>& ids = scratch.ids;
  ids.clear();
  std::size_t asked = 0;
  for (std::size_t i = 0; i < length && asked < kSeedsAsked && !is_late; ++i) {
    if (task.roles[list[i]] != ListTask::kSeed) continue;
    ++asked;
    const std::size_t before = ids.size();
    ids.resize(before + graph_.capacity(0));
    ids.resize(before + graph_.copy_list(list[i], 0, ids.data() + before));
  }
  if (asked == 0 && !is_late) {
    // Only seeds have links yet.
    const GraphSearch search(store_, graph_, scratch.search);
    find_candidates(search, query, search.descend(query, graph_.entry(), 0), 0, scratch);
    for (const Hit& hit : scratch.candidates) ids.push_back(hit.row);
  }
  for (std::size_t i = 0; i < length; ++i) {
    if (task.is_before(list[i], rank)) ids.push_back(list[i]);
  }
  VisitedRows& met = scratch.search.visited;
  met.start(graph_.rows());
  met.meet(row);
  ids.erase(std::remove_if(ids.begin(), ids.end(), [&](std::uint32_t id) { return !met.meet(id); }),
            ids.end());
  score_candidates(query, scratch);
  scratch.chosen.resize(std::max<std::size_t>(1, scratch.chosen.size()));
  select_links(0, scratch.chosen[0], scratch);
  set_list(row, 0, scratch.chosen[0]);
}

void GraphBuilder::link_others_back(std::uint32_t row, Scratch& scratch) {
  scratch.chosen.resize(std::max<std::size_t>(1, scratch.chosen.size()));
  std::vector<Hit>& links = scratch.chosen[0];
  links.clear();
  {
    // Others are linked back to it meanwhile; what they have put there is linked already.
    const HnswGraph::NodeLock lock(graph_, row);
    std::vector<std::uint32_t>& ids = scratch.ids;
    ids.resize(graph_.capacity(0));
    ids.resize(graph_.copy_list(row, 0, ids.data()));
    measure_links(row, 0, scratch);
    for (std::size_t i = 0; i < ids.size(); ++i) links.push_back({scratch.lengths[i], ids[i]});
  }
  as_query(row, scratch.search.query, scratch);
  for (const Hit& link : links) link_back(link, row, 0, scratch);
}

void GraphBuilder::link_reached(std::uint32_t row, Scratch& scratch) {
  const GraphSearch search(store_, graph_, scratch.search);
  const PreparedQuery& query = as_query(row, scratch.search.query, scratch);
  find_candidates(search, query, search.descend(query, graph_.entry(), 0), 0, scratch);
  std::vector<Hit>& found = scratch.candidates;
  found.erase(
      std::remove_if(found.begin(), found.end(), [&](const Hit& hit) { return hit.row == row; }),
      found.end());
  scratch.chosen.resize(std::max<std::size_t>(1, scratch.chosen.size()));
  std::vector<Hit>& chosen = scratch.chosen[0];
  select_links(0, chosen, scratch);
  for (const Hit& hit : chosen) link_back(hit, row, 0, scratch);
  // Its own links stay, as far as they are nearer: what it leads to may be reached by it alone.
  for (const Hit& hit : chosen) {
    as_query(hit.row, scratch.search.query, scratch);
    link_back({hit.distance, row}, hit.row, 0, scratch);
  }
}

std::vector<std::uint32_t> GraphBuilder::unreached(const std::vector<std::uint32_t>& rows,
                                                   std::size_t& count) const {
  std::vector<bool> met(graph_.rows(), false);
  std::vector<std::uint32_t> open;
  std::vector<std::uint32_t> links(graph_.capacity(0));
  const auto walk = [&](std::uint32_t from) {
    met[from] = true;
    open.assign(1, from);
    while (!open.empty()) {
      const std::uint32_t row = open.back();
      open.pop_back();
      const std::size_t length = graph_.copy_list(row, 0, links.data());
      for (std::size_t i = 0; i < length; ++i) {
        if (met[links[i]]) continue;
        met[links[i]] = true;
        open.push_back(links[i]);
      }
    }
  };
  const HnswGraph::Entry entry = graph_.entry();
  if (entry.row != kNoRow) walk(entry.row);
  count = 0;
  for (const std::uint32_t row : rows) count += !met[row];
  std::vector<std::uint32_t> roots;
  for (const std::uint32_t row : rows) {
    if (met[row]) continue;
    roots.push_back(row);
    walk(row);
  }
  return roots;
}

}  // namespace lichen
