// Leaving dead rows out of a graph.

#include <algorithm>

#include "index/graph_builder.hpp"
#include "runtime/parallel.hpp"

namespace lichen {
namespace {

// Rows that a thread takes at a time.
constexpr std::size_t kRowsAPiece = 256;

}  // namespace

bool GraphBuilder::mend(std::uint32_t row, std::size_t level,
                        const std::vector<std::uint32_t>& new_numbers, Scratch& scratch) const {
  const std::size_t capacity = graph_.capacity(level);
  std::vector<std::uint32_t>& ids = scratch.ids;
  ids.resize(capacity);
  ids.resize(graph_.copy_list(row, level, ids.data()));
  const auto is_gone = [&](std::uint32_t id) { return new_numbers[id] == kNoRow; };
  if (std::none_of(ids.begin(), ids.end(), is_gone)) return true;
  std::vector<std::uint32_t> beyond(capacity);
  const std::size_t length = ids.size();
  for (std::size_t i = 0; i < length; ++i) {
    if (!is_gone(ids[i])) continue;
    const std::size_t count = graph_.copy_list(ids[i], level, beyond.data());
    ids.insert(ids.end(), beyond.begin(), beyond.begin() + static_cast<std::ptrdiff_t>(count));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  ids.erase(std::remove_if(ids.begin(), ids.end(),
                           [&](std::uint32_t id) { return id == row || is_gone(id); }),
            ids.end());
  score_candidates(as_other_query(row, scratch), scratch);
  return false;
}

std::unique_ptr<HnswGraph> GraphBuilder::compacted(const std::vector<std::uint32_t>& rows,
                                                   const std::vector<std::uint32_t>& new_numbers,
                                                   std::size_t threads, Progress& progress) const {
  auto other = std::make_unique<HnswGraph>(graph_.m());
  std::vector<std::uint8_t> levels;
  HnswGraph::Entry entry;
  for (const std::uint32_t row : rows) {
    const std::size_t level = graph_.level_of(row);
    if (entry.row == kNoRow || level > entry.level) {
      entry = {new_numbers[row], static_cast<std::uint32_t>(level)};
    }
    levels.push_back(static_cast<std::uint8_t>(level));
  }
  other->append_levels(levels);
  other->set_entry(entry);
  progress.total.store(rows.size());
  const std::size_t pieces = (rows.size() + kRowsAPiece - 1) / kRowsAPiece;
  const bool done = run_on_threads(threads, 0, pieces, progress.cancel, [&] {
    auto scratch = std::make_unique<Scratch>();
    return [&, scratch = std::move(scratch)](std::size_t piece) {
      const std::size_t last = std::min(rows.size(), (piece + 1) * kRowsAPiece);
      for (std::size_t r = piece * kRowsAPiece; r < last; ++r) {
        for (std::size_t level = 0; level <= graph_.level_of(rows[r]); ++level) {
          std::vector<std::uint32_t>& ids = scratch->ids;
          if (!mend(rows[r], level, new_numbers, *scratch)) {
            scratch->chosen.resize(std::max<std::size_t>(1, scratch->chosen.size()));
            select_links(level, scratch->chosen[0], *scratch);
            ids.clear();
            for (const Hit& hit : scratch->chosen[0]) ids.push_back(hit.row);
          }
          for (std::uint32_t& id : ids) id = new_numbers[id];
          other->set_list(static_cast<std::uint32_t>(r), level, ids.data(), ids.size());
        }
      }
      progress.done.fetch_add(last - piece * kRowsAPiece, std::memory_order_relaxed);
    };
  });
  return done ? std::move(other) : nullptr;
}

}  // namespace lichen
