#include "index/device_scan.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "runtime/error.hpp"

namespace lichen {
namespace {

static_assert(sizeof(Hit) == sizeof(LichenCudaHit) &&
              offsetof(Hit, row) == offsetof(LichenCudaHit, row));

// What another try, later or on the host, may do.
bool is_passing(int status) {
  return status == LICHEN_CUDA_MEMORY || status == LICHEN_CUDA_UNSUPPORTED;
}

}  // namespace

LichenCudaSource device_source(const EmbeddingStore& store) {
  if (is_float(store.type())) return {store.codes(), nullptr, nullptr, nullptr};
  const CodeRows rows = store.code_rows();
  return {rows.codes, rows.scales, rows.offsets, rows.squares};
}

std::vector<LichenCudaQuery> device_queries(const QueryBatch& queries) {
  std::vector<LichenCudaQuery> prepared(queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const PreparedQuery& query = queries[q];
    prepared[q] = {query.values,       query.code.bytes,   query.code.base,
                   query.code.per_sum, query.code.per_row, query.code.per_offset};
  }
  return prepared;
}

DeviceScan::DeviceScan(int device, std::size_t most_bytes)
    : api_(cuda_api()), device_(device), most_bytes_(most_bytes) {
  // Rows of no length to speak of: whether the device takes them shows whether there is code for
  // it.
  const LichenCudaSpec spec = {device, LICHEN_CUDA_F32, 0, 16, 64};
  LichenCudaRows* rows = nullptr;
  check_cuda(api_.rows_create(&spec, 0, &rows));
  api_.rows_destroy(rows);
}

DeviceScan::~DeviceScan() { forget(); }

bool DeviceScan::holds(StorageType type) {
  return type != StorageType::kI4 && type != StorageType::kPq;
}

void DeviceScan::forget() noexcept {
  if (rows_ != nullptr) api_.rows_destroy(rows_);
  rows_ = nullptr;
  codec_ = nullptr;
  count_ = 0;
}

void DeviceScan::make(const EmbeddingStore& store) {
  forget();
  const LichenCudaSpec spec = {device_, static_cast<std::int32_t>(store.type()),
                               store.metric() == Metric::kL2 ? 1 : 0, store.dim(),
                               store.row_bytes()};
  check_cuda(api_.rows_create(&spec, most_bytes_, &rows_));
  codec_ = &store.codec();
}

void DeviceScan::bring(const EmbeddingStore& store, std::uint64_t generation) {
  const bool goes_on = rows_ != nullptr && codec_ == &store.codec() && generation_ == generation &&
                       count_ <= store.rows();
  if (!goes_on) make(store);
  generation_ = generation;
  const LichenCudaSource source = device_source(store);
  const int status = api_.rows_put(rows_, &source, count_, store.rows() - count_);
  if (status != LICHEN_CUDA_OK) forget();
  check_cuda(status);
  count_ = store.rows();
}

int DeviceScan::try_search(const EmbeddingStore& store, const QueryBatch& queries,
                           const RowFilter* filter, std::size_t k, Hit* hits, std::uint32_t* counts,
                           std::uint8_t* certain) {
  const std::vector<LichenCudaQuery> prepared = device_queries(queries);
  LichenCudaSearch search = {};
  search.queries = prepared.data();
  search.count = prepared.size();
  search.k = k;
  search.rows = store.rows();
  search.source = device_source(store);
  if (filter != nullptr) {
    search.bits = filter->bits();
    search.bits_bytes = std::min(filter->bytes(), (store.rows() + 7) / 8);
  }
  search.hits = reinterpret_cast<LichenCudaHit*>(hits);
  search.counts = counts;
  search.certain = certain;
  return api_.rows_search(rows_, &search);
}

void DeviceScan::search(const EmbeddingStore& store, std::uint64_t generation,
                        const QueryBatch& queries, const RowFilter* filter, std::size_t k,
                        Hit* hits, std::uint32_t* counts, std::vector<std::uint32_t>& left) {
  searches_.fetch_add(queries.size(), std::memory_order_relaxed);
  std::vector<std::uint8_t> certain(queries.size(), 0);
  int status = LICHEN_CUDA_UNSUPPORTED;
  try {
    std::shared_lock shared(mutex_);
    const auto is_there = [&] {
      return rows_ != nullptr && codec_ == &store.codec() && generation_ == generation &&
             count_ == store.rows();
    };
    while (!is_there()) {
      shared.unlock();
      {
        std::unique_lock alone(mutex_);
        if (!is_there()) bring(store, generation);
      }
      shared.lock();
    }
    status = try_search(store, queries, filter, k, hits, counts, certain.data());
    if (!is_passing(status)) check_cuda(status);
  } catch (const Error& error) {
    if (error.code() != Code::kDeviceMemory && error.code() != Code::kUnsupported) throw;
  }
  // What is no number is nobody's neighbour there, and anybody's last one here.
  const std::size_t admitted = filter == nullptr ? store.rows() : filter->selected();
  left.clear();
  for (std::uint32_t q = 0; q < queries.size(); ++q) {
    const bool is_done =
        status == LICHEN_CUDA_OK && certain[q] != 0 && counts[q] >= std::min(k, admitted);
    if (!is_done) left.push_back(q);
  }
  fallbacks_.fetch_add(left.size(), std::memory_order_relaxed);
}

DeviceScan::State DeviceScan::state() const {
  State state;
  state.device = device_;
  std::shared_lock lock(mutex_);
  if (rows_ != nullptr) {
    std::uint64_t rows = 0, resident = 0, bytes = 0;
    check_cuda(api_.rows_size(rows_, &rows, &resident, &bytes));
    state.rows = rows;
    state.resident = resident;
    state.bytes = bytes;
  }
  state.searches = searches_.load();
  state.fallbacks = fallbacks_.load();
  return state;
}

}  // namespace lichen
