#include "index/vector_index.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// Rows scored at a time. A block stays in the second-level cache while every query of a batch
// passes over it.
constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::size_t kMostBlockRows = 2048;

// The right to write, given back at the end of its scope unless it was handed on from append to
// link.
class WriterClaim {
 public:
  enum class Held { kNow, kAlready };

  WriterClaim(std::atomic<bool>& flag, Held held) : flag_(&flag) {
    if (held == Held::kNow && flag.exchange(true, std::memory_order_acquire)) {
      flag_ = nullptr;
      throw Error(Code::kBusy,
                  "another add or save is at work on this index; wait until it has ended");
    }
  }
  ~WriterClaim() {
    if (flag_ != nullptr) flag_->store(false, std::memory_order_release);
  }
  WriterClaim(const WriterClaim&) = delete;
  WriterClaim& operator=(const WriterClaim&) = delete;
  void hand_on() { flag_ = nullptr; }

 private:
  std::atomic<bool>* flag_;
};

}  // namespace

VectorIndex::VectorIndex(IndexKind kind, std::size_t dim, Metric metric)
    : store_(dim, metric), kind_(kind) {
  const Kernels& table = kernels();
  const bool l2 = metric == Metric::kL2;
  rows_kernel_ = l2 ? table.l2_rows : table.dot_rows;
  gather_kernel_ = l2 ? table.l2_gather : table.dot_gather;
  negate_ = !l2;
}

std::size_t VectorIndex::rows() const {
  ReadLock lock(lock_);
  return store_.rows();
}

KeyKind VectorIndex::key_kind() const {
  ReadLock lock(lock_);
  return keys_.kind();
}

void VectorIndex::append(const KeyBatch& keys, const float* vectors, std::size_t count) {
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  require_finite(vectors, count, dim(), "vectors");
  WriteLock lock(lock_);
  const std::size_t before = store_.rows();
  try {
    keys_.append(keys, count);
    store_.append(vectors, count);
    grow(before);
  } catch (...) {
    roll_back(before);
    throw;
  }
  linked_ = before;
  claim.hand_on();
}

void VectorIndex::link(std::size_t threads, Progress& progress) {
  WriterClaim claim(writing_, WriterClaim::Held::kAlready);
  const std::size_t before = linked_;
  progress.total.store(store_.rows() - before);
  try {
    if (!link_rows(before, threads, progress)) throw Error(Code::kAborted, "add was aborted");
  } catch (...) {
    WriteLock lock(lock_);
    roll_back(before);
    throw;
  }
}

void VectorIndex::roll_back(std::size_t before) {
  undo(before);
  store_.truncate(before);
  if (keys_.size() > before) keys_.truncate(before);
}

void VectorIndex::check_search(const SearchOptions& options) const {
  ReadLock lock(lock_);
  check_k(options.k);
}

void VectorIndex::check_k(std::size_t k) const {
  if (k > 0 && k <= store_.rows()) return;
  throw Error(Code::kArgument, "k must be an integer from 1 to the size of the index (" +
                                   std::to_string(store_.rows()) + "), got " + std::to_string(k));
}

std::size_t VectorIndex::search(const float* query, const SearchOptions& options, Hit* hits) const {
  std::uint32_t count = 0;
  search_range(query, 1, options, hits, &count);
  return count;
}

void VectorIndex::search_range(const float* queries, std::size_t count,
                               const SearchOptions& options, Hit* hits,
                               std::uint32_t* counts) const {
  require_finite(queries, count, dim(), count == 1 ? "query" : "queries");
  // Reused from call to call: a search must not allocate. One a thread, as large as its largest
  // use.
  thread_local AlignedBuffer<float> prepared;
  prepared.resize(std::max(prepared.size(), count * store_.stride()), 0.0f);
  for (std::size_t q = 0; q < count; ++q) {
    store_.prepare_query(queries + q * dim(), prepared.data() + q * store_.stride());
  }
  ReadLock lock(lock_);
  check_k(options.k);
  if (options.exact) {
    scan(prepared.data(), count, options.k, hits, counts);
  } else {
    search_range_locked(prepared.data(), count, options, hits, counts);
  }
}

void VectorIndex::search_range_locked(const float* prepared, std::size_t count,
                                      const SearchOptions& options, Hit* hits,
                                      std::uint32_t* counts) const {
  for (std::size_t q = 0; q < count; ++q) {
    counts[q] = static_cast<std::uint32_t>(
        search_locked(prepared + q * store_.stride(), options, hits + q * options.k));
  }
}

void VectorIndex::scan(const float* prepared, std::size_t count, std::size_t k, Hit* hits,
                       std::uint32_t* counts) const {
  const std::size_t rows = store_.rows();
  const std::size_t row_bytes = store_.stride() * sizeof(float);
  const std::size_t block = std::clamp<std::size_t>(kBlockBytes / row_bytes, 8, kMostBlockRows);
  float scored[kMostBlockRows];
  std::vector<TopK> best;
  best.reserve(count);
  for (std::size_t q = 0; q < count; ++q) best.emplace_back(hits + q * k, k);
  for (std::size_t first = 0; first < rows; first += block) {
    const std::size_t here = std::min(block, rows - first);
    for (std::size_t q = 0; q < count; ++q) {
      distances(prepared + q * store_.stride(), first, here, scored);
      TopK& top = best[q];
      for (std::size_t i = 0; i < here; ++i) {
        // Not "<=": rows come in order, so an equal distance has the higher row number and loses
        // the tie.
        if (!(scored[i] >= top.threshold()))
          top.offer(scored[i], static_cast<std::uint32_t>(first + i));
      }
    }
  }
  for (std::size_t q = 0; q < count; ++q) counts[q] = static_cast<std::uint32_t>(best[q].finish());
}

std::uint32_t VectorIndex::find(std::int64_t key) const {
  ReadLock lock(lock_);
  return keys_.find(key);
}

std::uint32_t VectorIndex::find(const std::string& key) const {
  ReadLock lock(lock_);
  return keys_.find(std::string_view(key));
}

void VectorIndex::vector_of(std::uint32_t row, float* out) const {
  ReadLock lock(lock_);
  if (row >= store_.rows()) throw Error(Code::kUnknownKey, "no such row");
  std::memcpy(out, store_.row(row), dim() * sizeof(float));
}

std::uint64_t VectorIndex::save(const std::string& path, Progress& progress) const {
  // Nothing changes an index without this claim, so no lock is held while the disk is at work.
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  SnapshotHeader header;
  header.rows = store_.rows();
  header.dim = static_cast<std::uint32_t>(dim());
  header.kind = static_cast<std::uint32_t>(kind_);
  header.metric = static_cast<std::uint32_t>(metric());
  header.storage = static_cast<std::uint32_t>(Storage::kF32);
  header.key_kind = static_cast<std::uint32_t>(keys_.kind());
  std::vector<SectionData> sections;
  sections.push_back(
      {SectionType::kVectors, store_.data(), store_.rows() * store_.stride() * sizeof(float)});
  if (keys_.kind() == KeyKind::kInteger) {
    sections.push_back(
        {SectionType::kIntegerKeys, keys_.integers().data(), keys_.size() * sizeof(std::int64_t)});
  } else if (keys_.kind() == KeyKind::kString) {
    sections.push_back({SectionType::kKeyOffsets, keys_.offsets().data(),
                        (keys_.size() + 1) * sizeof(std::uint64_t)});
    sections.push_back(
        {SectionType::kKeyCharacters, keys_.characters().data(), keys_.characters().size()});
  }
  describe(header, sections);
  return write_snapshot(path, header, sections, progress);
}

std::unique_ptr<VectorIndex> VectorIndex::open(const std::string& path) {
  const SnapshotReader reader(path);
  const SnapshotHeader& header = reader.header();
  const auto refuse = [&](const std::string& what) {
    throw Error(Code::kFormat, path + " is not a sound lichen file: " + what);
  };
  if (header.dim == 0 || header.dim > kMaxDim) refuse("its dim is " + std::to_string(header.dim));
  if (header.rows > kMaxRows) refuse("it has too many rows");
  if (header.metric > static_cast<std::uint32_t>(Metric::kL2)) refuse("its metric is unknown");
  if (header.storage != static_cast<std::uint32_t>(Storage::kF32)) refuse("its storage is unknown");
  if (header.key_kind > static_cast<std::uint32_t>(KeyKind::kString)) {
    refuse("its kind of keys is unknown");
  }
  const auto metric = static_cast<Metric>(header.metric);
  std::unique_ptr<VectorIndex> index;
  if (header.kind == static_cast<std::uint32_t>(IndexKind::kFlat)) {
    index = std::make_unique<FlatIndex>(header.dim, metric);
  } else if (header.kind == static_cast<std::uint32_t>(IndexKind::kHnsw)) {
    HnswParameters parameters;
    parameters.m = header.m;
    parameters.ef_construction = header.ef_construction;
    parameters.seed = header.seed;
    try {
      index = std::make_unique<HnswIndex>(header.dim, metric, parameters);
    } catch (const Error& error) {
      refuse(error.what());
    }
  } else {
    refuse("its kind of index is unknown");
  }
  const std::size_t rows = header.rows;
  const std::size_t stride = index->store_.stride();
  {
    AlignedBuffer<float> vectors = reader.read<float>(SectionType::kVectors, rows * stride);
    index->store_.adopt(std::move(vectors), rows);
  }
  AlignedBuffer<std::int64_t> integers;
  AlignedBuffer<std::uint64_t> offsets;
  AlignedBuffer<char> characters;
  const auto key_kind = static_cast<KeyKind>(header.key_kind);
  if (key_kind == KeyKind::kInteger) {
    integers = reader.read<std::int64_t>(SectionType::kIntegerKeys, rows);
  } else if (key_kind == KeyKind::kString) {
    offsets = reader.read<std::uint64_t>(SectionType::kKeyOffsets, rows + 1);
    characters = reader.read<char>(SectionType::kKeyCharacters,
                                   reader.bytes_of(SectionType::kKeyCharacters));
  }
  try {
    index->keys_.load(key_kind, rows, std::move(integers), std::move(offsets),
                      std::move(characters));
    index->load(reader);
  } catch (const Error& error) {
    if (error.code() != Code::kFormat) throw;
    refuse(error.what());
  }
  index->linked_ = rows;
  return index;
}

}  // namespace lichen
