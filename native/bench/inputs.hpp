#pragma once
// What the kernels are given: memory full of rows, and a query for each storage type.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codecs/codec.hpp"
#include "codecs/kernels_of.hpp"
#include "runtime/aligned.hpp"

namespace lichen::bench {

inline constexpr std::size_t kMemoryBytes = std::size_t{256} << 20;
inline constexpr std::size_t kMostDim = 1536;
inline constexpr std::size_t kScanRows = 4096;  // rows a call when memory is scanned

// Half of the second-level cache.
std::size_t cached_bytes();

struct Inputs {
  Inputs();

  // On huge pages, as a store's. Every 16 bits are a harmless number both as f16 and as bf16, and
  // so is every pair of them as f32: one memory serves all storage types.
  AlignedBuffer<std::uint8_t> rows;
  AlignedBuffer<float> scales;
  AlignedBuffer<float> offsets;
  AlignedBuffer<float> squares;
  AlignedBuffer<float> out;
  std::vector<float> query;              // kMostDim values
  AlignedBuffer<std::uint8_t> pq_table;  // 16 bytes for each of kMostDim subspaces
  double cursor = 0.0;                   // how far, from 0 to 1, memory has been scanned
};

// A storage type at a dimension and a metric: dot or l2 (pq: no matter which).
class Scenario {
 public:
  Scenario(Inputs& inputs, StorageType type, std::size_t dim, Metric metric);

  StorageType type() const { return type_; }
  std::size_t dim() const { return dim_; }
  Metric metric() const { return metric_; }
  std::string name() const;  // "i8 dot 128"
  const std::uint8_t* rows() const { return inputs_->rows.data(); }
  float* out() const { return inputs_->out.data(); }
  std::size_t row_bytes() const { return row_bytes_; }
  // With the factors that are read.
  std::size_t bytes_a_row() const;
  // Rows in `bytes` bytes of them, in whole blocks of pq; at least one (block).
  std::size_t rows_in(std::size_t bytes) const;

  const float* query() const { return query_.values; }
  const CodeQuery& code_query() const { return query_.code; }
  const CodeRows& code_rows() const { return code_rows_; }

  FloatRowsKernel float_rows(const Kernels& table) const;
  FloatGatherKernel float_gather(const Kernels& table) const;

  void score(const Kernels& table, std::size_t first, std::size_t count) const;
  void gather(const Kernels& table, const std::uint32_t* ids, std::size_t count) const;
  // Scores the next rows of all memory; returns how many.
  std::size_t score_next(const Kernels& table) const;

 private:
  Inputs* inputs_;
  StorageType type_;
  std::size_t dim_;
  Metric metric_;
  std::size_t row_bytes_;
  std::shared_ptr<AlignedBuffer<std::uint8_t>> prepared_;
  PreparedQuery query_;
  CodeRows code_rows_;
};

}  // namespace lichen::bench
