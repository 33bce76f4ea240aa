#pragma once
// Exhaustive search: every row of a store (or every one that a filter admits) is scored against
// every query of a batch. Few queries are scored one by one, rows block by block; many against
// tiles of rows, with each query's threshold applied while the scores are still in registers.

#include <cstddef>
#include <vector>

#include "index/query_batch.hpp"
#include "index/row_filter.hpp"
#include "index/top_k.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

// Offers rows [first, last) to best[q], a TopK a query. Distances are those of
// EmbeddingStore::distances, whatever the number of queries. `filter` may be null.
void scan(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter* filter,
          std::size_t first, std::size_t last, std::vector<TopK>& best);

// Every row of [0, store.rows()) whose distance to the one query is at most `limit`, nearest first.
std::vector<Hit> scan_within(const EmbeddingStore& store, const QueryBatch& query, float limit,
                             const RowFilter* filter);

}  // namespace lichen
