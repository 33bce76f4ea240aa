#pragma once
// Options of stores and indexes, in fewer words.

#include <array>

#include "index/vector_index.hpp"

namespace lichen::test {

inline constexpr std::array<StorageType, 7> kTypes = {
    StorageType::kF32, StorageType::kF16, StorageType::kBf16, StorageType::kI8,
    StorageType::kI4,  StorageType::kB1,  StorageType::kPq};
inline constexpr std::array<Metric, 3> kMetrics = {Metric::kDot, Metric::kCosine, Metric::kL2};

inline CodecOptions codec(StorageType type, std::size_t dim, Metric metric) {
  CodecOptions options;
  options.type = type;
  options.dim = dim;
  options.metric = metric;
  return options;
}

inline StorageOptions flat(std::size_t dim, Metric metric, StorageType type = StorageType::kF32,
                           std::optional<StorageType> rerank = std::nullopt) {
  return {codec(type, dim, metric), rerank, {}};
}

}  // namespace lichen::test
