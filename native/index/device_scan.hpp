#pragma once
// DeviceScan: the rows of a store on an NVIDIA device as well, and exhaustive search there. What
// changes in the store is brought there by the next search; the store stays whole in the memory of
// the host, from which rows are read that the device has no room for.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <shared_mutex>
#include <vector>

#include "index/query_batch.hpp"
#include "index/row_filter.hpp"
#include "index/top_k.hpp"
#include "runtime/cuda_library.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

// A store's rows and prepared queries as the module takes them; they point to what they are of.
LichenCudaSource device_source(const EmbeddingStore& store);
std::vector<LichenCudaQuery> device_queries(const QueryBatch& queries);

class DeviceScan {
 public:
  struct State {
    int device = 0;
    std::size_t rows = 0;         // brought there by the last search
    std::size_t resident = 0;     // of them, in memory of the device
    std::size_t bytes = 0;        // of it
    std::uint64_t searches = 0;   // queries
    std::uint64_t fallbacks = 0;  // of them left to the host
  };

  // Of the device's memory at most so many bytes for rows; 0: what is free. Throws kNoDevice |
  // kOldDriver | kWrongDevice.
  DeviceScan(int device, std::size_t most_bytes);
  ~DeviceScan();
  DeviceScan(const DeviceScan&) = delete;
  DeviceScan& operator=(const DeviceScan&) = delete;

  static bool holds(StorageType type);

  // The k nearest of every row of the store that the filter admits, for each query at hits + q × k,
  // counts[q] of them. A store whose rows are not those of the last time and more behind them has
  // another `generation`. `left`: the queries that the device leaves to the host, all of them for
  // want of memory or since k is too large, or those where a row that was left out could be nearer
  // by a rounding. Throws kDeviceLost.
  void search(const EmbeddingStore& store, std::uint64_t generation, const QueryBatch& queries,
              const RowFilter* filter, std::size_t k, Hit* hits, std::uint32_t* counts,
              std::vector<std::uint32_t>& left);
  State state() const;

 private:
  void bring(const EmbeddingStore& store, std::uint64_t generation);
  void make(const EmbeddingStore& store);
  void forget() noexcept;
  int try_search(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter* filter,
                 std::size_t k, Hit* hits, std::uint32_t* counts, std::uint8_t* certain);

  const LichenCudaApi& api_;
  const int device_;
  const std::size_t most_bytes_;
  mutable std::shared_mutex mutex_;  // exclusive: rows change
  LichenCudaRows* rows_ = nullptr;
  const Codec* codec_ = nullptr;  // which the rows are codes of
  std::uint64_t generation_ = 0;
  std::size_t count_ = 0;
  std::atomic<std::uint64_t> searches_{0};
  std::atomic<std::uint64_t> fallbacks_{0};
};

}  // namespace lichen
