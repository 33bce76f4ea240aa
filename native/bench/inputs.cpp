#include "bench/inputs.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/random.hpp"

#ifdef __linux__
#include <unistd.h>
#endif

namespace lichen::bench {
namespace {

// Rows of 8 bytes with one factor of 4: no scan has more.
constexpr std::size_t kMostFactors = kMemoryBytes / 12 + kPqBlockRows;
constexpr std::size_t kOutRows = std::size_t{1} << 18;

bool is_codes(StorageType type) {
  return type == StorageType::kI8 || type == StorageType::kI4 || type == StorageType::kB1;
}

}  // namespace

std::size_t cached_bytes() {
#if defined(__linux__) && defined(_SC_LEVEL2_CACHE_SIZE)
  const long level2 = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (level2 > 0) return static_cast<std::size_t>(level2) / 2;
#endif
  return std::size_t{256} << 10;
}

Inputs::Inputs() {
  rows.resize(kMemoryBytes, 0);
  for (std::size_t i = 0; i < kMemoryBytes; i += sizeof(std::uint64_t)) {
    // Sign and significand at random; exponents of f16 and bf16 near 1.
    const std::uint64_t word = (splitmix64(1, i) & 0x83FF83FF83FF83FFull) | 0x3C003C003C003C00ull;
    std::memcpy(rows.data() + i, &word, sizeof word);
  }
  scales.resize(kMostFactors, 1.0f);
  offsets.resize(kMostFactors, 0.5f);
  squares.resize(kMostFactors, 2.0f);
  out.resize(kOutRows, 0.0f);
  query.resize(kMostDim);
  for (std::size_t d = 0; d < kMostDim; ++d) {
    query[d] = static_cast<float>(uniform_open(2, d)) - 0.5f;
  }
  pq_table.resize(16 * kMostDim, 0);
  for (std::size_t i = 0; i < pq_table.size(); ++i) {
    pq_table[i] = static_cast<std::uint8_t>(splitmix64(3, i));
  }
}

Scenario::Scenario(Inputs& inputs, StorageType type, std::size_t dim, Metric metric)
    : inputs_(&inputs), type_(type), dim_(dim), metric_(metric) {
  const auto codec = Codec::make({.type = type, .dim = dim, .metric = metric});
  row_bytes_ = codec->row_bytes();
  if (type == StorageType::kPq) return;  // its table would want training
  prepared_ = std::make_shared<AlignedBuffer<std::uint8_t>>();
  prepared_->resize(codec->prepared_bytes(), 0);
  query_ = codec->prepare(inputs.query.data(), prepared_->data());
  code_rows_ = {inputs.rows.data(), row_bytes_, inputs.scales.data(),
                codec->has_offset() ? inputs.offsets.data() : nullptr,
                codec->has_square() && metric == Metric::kL2 ? inputs.squares.data() : nullptr};
}

std::string Scenario::name() const {
  std::string name = kStorageTypeNames[static_cast<std::size_t>(type_)];
  if (type_ != StorageType::kPq) name += metric_ == Metric::kL2 ? " l2" : " dot";
  return name + " " + std::to_string(dim_);
}

std::size_t Scenario::bytes_a_row() const {
  if (!is_codes(type_)) return row_bytes_;
  const std::size_t factors = 1 + (code_rows_.offsets != nullptr) + (code_rows_.squares != nullptr);
  return row_bytes_ + factors * sizeof(float);
}

std::size_t Scenario::rows_in(std::size_t bytes) const {
  const std::size_t unit = type_ == StorageType::kPq ? kPqBlockRows : 1;
  return std::max(bytes / bytes_a_row() / unit * unit, unit);
}

FloatRowsKernel Scenario::float_rows(const Kernels& table) const {
  return metric_ == Metric::kL2 ? float_kernels(table, type_).l2_rows
                                : float_kernels(table, type_).dot_rows;
}

FloatGatherKernel Scenario::float_gather(const Kernels& table) const {
  return metric_ == Metric::kL2 ? float_kernels(table, type_).l2_gather
                                : float_kernels(table, type_).dot_gather;
}

void Scenario::score(const Kernels& table, std::size_t first, std::size_t count) const {
  if (is_float(type_)) {
    float_rows(table)(query_.values, rows() + first * row_bytes_, row_bytes_, count, dim_, out());
  } else if (type_ == StorageType::kPq) {
    table.pq_blocks(inputs_->pq_table.data(), (dim_ + 1) / 2, 0.0f, 1.0f,
                    rows() + first * row_bytes_, count / kPqBlockRows, out());
  } else {
    code_kernels(table, type_).rows(query_.code, code_rows_, first, count, out());
  }
}

void Scenario::gather(const Kernels& table, const std::uint32_t* ids, std::size_t count) const {
  if (is_float(type_)) {
    float_gather(table)(query_.values, rows(), row_bytes_, ids, count, dim_, out());
  } else {
    code_kernels(table, type_).gather(query_.code, code_rows_, ids, count, out());
  }
}

std::size_t Scenario::score_next(const Kernels& table) const {
  const std::size_t total = rows_in(kMemoryBytes) / kPqBlockRows * kPqBlockRows;
  double& cursor = inputs_->cursor;
  const std::size_t first =
      static_cast<std::size_t>(cursor * static_cast<double>(total)) / kPqBlockRows * kPqBlockRows;
  const std::size_t count = std::min(kScanRows, total - first);
  score(table, first, count);
  const std::size_t next = first + count;
  // Half a block further, so that rounding does not fall back into the block that was scored.
  cursor = next == total
               ? 0.0
               : (static_cast<double>(next) + 0.5 * kPqBlockRows) / static_cast<double>(total);
  return count;
}

}  // namespace lichen::bench
