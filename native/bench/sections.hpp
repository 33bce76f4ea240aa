#pragma once
// The sections of kernels_bench. Each adds its groups; the limits that it holds them against are
// measured within each group.

#include <span>
#include <vector>

#include "bench/inputs.hpp"
#include "bench/measure.hpp"
#include "kernels/kernels.hpp"

namespace lichen::bench {

// All dimensions; the instruction sets below the best are measured at kFewDims alone.
inline constexpr std::size_t kDims[] = {32, 64, 128, 256, 384, 768, 1024, 1536};
inline constexpr std::size_t kFewDims[] = {64, 128, 768};

// One query against rows in order, in memory and in cache; and gathered by random row numbers.
void add_rows(Inputs& inputs, const Kernels& table, std::span<const std::size_t> dims,
              std::vector<Group>& groups);
void add_gathers(Inputs& inputs, const Kernels& table, std::vector<Group>& groups);

// A tile of queries against packed rows, packing included.
void add_tiles(Inputs& inputs, const Kernels& table, std::span<const std::size_t> dims,
               std::vector<Group>& groups);

// The same work by simsimd's C kernels.
void add_simsimd(Inputs& inputs, const Kernels& table, std::vector<Group>& groups);

}  // namespace lichen::bench
