#pragma once
// Smoothing of vectors over a graph: the step of graph convolution without weights of its own
// (LightGCN, He et al., SIGIR 2020).

#include <cstddef>
#include <cstdint>

namespace lichen {

// Node n has the neighbours [offsets[n], offsets[n + 1]).
struct Graph {
  std::size_t nodes;
  const std::int32_t* offsets;
  const std::int32_t* neighbours;
  const float* weights;  // of each neighbour
  std::size_t edges;
};

// out[n] = scale × (base[n] + Σ weights × x of the neighbours), rows of `dim` values, added up in
// order and in f32, whatever the number of threads. out overlaps no input. Throws Error(kArgument),
// writing nothing, for offsets that do not rise from 0 to `edges` and neighbours that are no nodes.
void smooth_rows(const Graph& graph, std::size_t dim, const float* x, const float* base,
                 float scale, float* out);

}  // namespace lichen
