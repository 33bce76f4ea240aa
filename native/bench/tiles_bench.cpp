#include <limits>
#include <memory>
#include <string>

#include "bench/limits.hpp"
#include "bench/sections.hpp"

namespace lichen::bench {
namespace {

constexpr std::size_t kQueries = 96;

constexpr StorageType kTileTypes[] = {StorageType::kF32, StorageType::kF16, StorageType::kBf16,
                                      StorageType::kI8,  StorageType::kI4,  StorageType::kB1};

// A tile kernel and its operands. Limits let nothing through, as all but the first tiles of a
// search do.
class Tiles {
 public:
  Tiles(const Scenario& scenario, const Kernels& table) : scenario_(scenario), table_(&table) {
    const std::size_t codes = is_float(scenario.type()) ? scenario.dim() : codes_a_row();
    packed_.resize(round_up(codes, kPackUnit) * table.tile_rows, 0);
    limits_.assign(kQueries, -std::numeric_limits<float>::infinity());
    hits_.resize(kQueries * table.tile_rows);
    code_queries_.assign(kQueries, scenario.code_query());
    // Each query in its own memory, as in a search.
    if (is_float(scenario.type())) {
      floats_.resize(kQueries * scenario.dim(), 0.0f);
      for (std::size_t i = 0; i < floats_.size(); ++i) {
        floats_[i] = scenario.query()[i % scenario.dim()];
      }
    } else {
      bytes_.resize(kQueries * codes, 0);
      for (std::size_t q = 0; q < kQueries; ++q) {
        for (std::size_t i = 0; i < codes; ++i) {
          bytes_[q * codes + i] = scenario.code_query().bytes[i];
        }
        code_queries_[q].bytes = bytes_.data() + q * codes;
      }
    }
  }

  double operations() const {
    return 2.0 * static_cast<double>(kQueries * table_->tile_rows * scenario_.dim());
  }

  void pack_next() {
    const std::uint8_t* rows = scenario_.rows() + first_ * scenario_.row_bytes();
    if (is_float(scenario_.type())) {
      float_kernels(*table_, scenario_.type())
          .pack(rows, scenario_.row_bytes(), table_->tile_rows, scenario_.dim(),
                reinterpret_cast<float*>(packed_.data()), nullptr);
    } else {
      code_kernels(*table_, scenario_.type())
          .pack(rows, scenario_.row_bytes(), table_->tile_rows, packed_.data());
    }
    first_ += table_->tile_rows;
    if (first_ + table_->tile_rows > scenario_.rows_in(kMemoryBytes)) first_ = 0;
    sink = static_cast<float>(packed_[0]);
  }

  void score() {
    std::size_t found = 0;
    // pack_next has moved on to the tile after this one.
    const std::uint8_t* next = scenario_.rows() + first_ * scenario_.row_bytes();
    const std::size_t next_bytes = table_->tile_rows * scenario_.row_bytes();
    if (is_float(scenario_.type())) {
      found = table_->float_tile(floats_.data(), scenario_.dim(), kQueries,
                                 reinterpret_cast<const float*>(packed_.data()), scenario_.dim(),
                                 -1.0f, nullptr, limits_.data(), next, next_bytes, hits_.data());
    } else {
      const CodeRows& rows = scenario_.code_rows();
      const float* offsets = rows.offsets == nullptr ? nullptr : rows.offsets + first_;
      found = table_->code_tile(code_queries_.data(), kQueries, packed_.data(), codes_a_row() / 4,
                                rows.scales + first_, offsets, nullptr, limits_.data(), next,
                                next_bytes, hits_.data());
    }
    sink = static_cast<float>(found);
  }

 private:
  std::size_t codes_a_row() const {
    return scenario_.row_bytes() * code_kernels(*table_, scenario_.type()).codes_a_byte;
  }

  Scenario scenario_;
  const Kernels* table_;
  std::size_t first_ = 0;
  AlignedBuffer<std::uint32_t> packed_;
  AlignedBuffer<float> floats_;
  AlignedBuffer<std::int8_t> bytes_;
  std::vector<CodeQuery> code_queries_;
  std::vector<float> limits_;
  std::vector<TileHit> hits_;
};

}  // namespace

void add_tiles(Inputs& inputs, const Kernels& table, std::span<const std::size_t> dims,
               std::vector<Group>& groups) {
  const std::string isa = table.isa;
  for (const StorageType type : kTileTypes) {
    const char* unit = is_float(type) ? "GFLOP/s" : "GOP/s";
    for (const std::size_t dim : dims) {
      const Scenario scenario(inputs, type, dim, Metric::kDot);
      const auto tiles = std::make_shared<Tiles>(scenario, table);
      Group group;
      // Counted as if packing did the whole work, so that it can be divided by.
      group.push_back({"", "packing", unit, [tiles] {
                         tiles->pack_next();
                         return tiles->operations();
                       }});
      auto limit = is_float(type) ? multiply_add(isa) : byte_products(isa);
      const bool has_limit = static_cast<bool>(limit);
      if (has_limit) group.push_back({"", "limit", unit, std::move(limit)});
      group.push_back({"batch of 96 queries, " + isa, scenario.name(), unit,
                       [tiles] {
                         tiles->pack_next();
                         tiles->score();
                         return tiles->operations();
                       },
                       has_limit ? 1 : kNone, kNone, 0});
      groups.push_back(std::move(group));
    }
  }
}

}  // namespace lichen::bench
