#include <memory>
#include <string>
#include <utility>

#include "bench/limits.hpp"
#include "bench/sections.hpp"
#include "runtime/random.hpp"

namespace lichen::bench {
namespace {

constexpr StorageType kTypes[] = {StorageType::kF32, StorageType::kF16, StorageType::kBf16,
                                  StorageType::kI8,  StorageType::kI4,  StorageType::kB1,
                                  StorageType::kPq};
constexpr StorageType kGatheredTypes[] = {StorageType::kF32, StorageType::kI8, StorageType::kI4,
                                          StorageType::kB1};
constexpr std::size_t kGatherDims[] = {64, 768};
// So many that their cache lines, met again, have left the last-level cache.
constexpr std::size_t kGatheredRows = std::size_t{1} << 20;
constexpr std::size_t kGatheredAtOnce = 4096;

Measurement in_memory(const Scenario& scenario, const Kernels& table, int limit) {
  return {"rows in memory, " + std::string(table.isa), scenario.name(), "GB/s",
          [scenario, &table] {
            const std::size_t scored = scenario.score_next(table);
            sink = scenario.out()[0];
            return static_cast<double>(scored * scenario.bytes_a_row());
          },
          limit};
}

Measurement in_cache(const Scenario& scenario, const Kernels& table) {
  const std::size_t rows = scenario.rows_in(cached_bytes());
  return {"rows in cache, " + std::string(table.isa), scenario.name(), "ns a row",
          [scenario, &table, rows] {
            scenario.score(table, 0, rows);
            sink = scenario.out()[0];
            return static_cast<double>(rows);
          }};
}

}  // namespace

void add_rows(Inputs& inputs, const Kernels& table, std::span<const std::size_t> dims,
              std::vector<Group>& groups) {
  for (const StorageType type : kTypes) {
    std::vector<Group> cached;
    for (const std::size_t dim : dims) {
      Group group{{"", "read", "GB/s", read_memory(inputs)}};
      Group cache_group;
      for (const Metric metric : {Metric::kDot, Metric::kL2}) {
        if (type == StorageType::kPq && metric == Metric::kL2) continue;
        const Scenario scenario(inputs, type, dim, metric);
        group.push_back(in_memory(scenario, table, 0));
        cache_group.push_back(in_cache(scenario, table));
      }
      groups.push_back(std::move(group));
      cached.push_back(std::move(cache_group));
    }
    for (Group& group : cached) groups.push_back(std::move(group));
  }
}

void add_gathers(Inputs& inputs, const Kernels& table, std::vector<Group>& groups) {
  for (const std::size_t dim : kGatherDims) {
    Group group;
    for (const StorageType type : kGatheredTypes) {
      const Scenario scenario(inputs, type, dim, Metric::kDot);
      const std::size_t rows = scenario.rows_in(kMemoryBytes);
      auto ids = std::make_shared<std::vector<std::uint32_t>>(kGatheredRows);
      for (std::size_t i = 0; i < kGatheredRows; ++i) {
        (*ids)[i] = static_cast<std::uint32_t>(splitmix64(dim, i) % rows);
      }
      group.push_back({"gathered rows, " + std::string(table.isa), scenario.name(), "ns a row",
                       [scenario, &table, ids, at = std::size_t{0}]() mutable {
                         scenario.gather(table, ids->data() + at, kGatheredAtOnce);
                         sink = scenario.out()[0];
                         at = (at + kGatheredAtOnce) % kGatheredRows;
                         return static_cast<double>(kGatheredAtOnce);
                       }});
    }
    groups.push_back(std::move(group));
  }
}

}  // namespace lichen::bench
