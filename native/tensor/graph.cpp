#include "tensor/graph.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/kernels.hpp"
#include "runtime/aligned.hpp"
#include "runtime/shared_loop.hpp"
#include "tensor/row_lists.hpp"

namespace lichen {
namespace {

constexpr std::size_t kNodesATurn = 256;  // degrees differ: few, so that threads end together
constexpr std::int32_t kNeighboursAhead = 6;

void ask_for_row(const float* row, std::size_t dim) {
  for (std::size_t at = 0; at < dim; at += kCacheLine / sizeof(float)) {
    __builtin_prefetch(row + at);
  }
}

}  // namespace

void smooth_rows(const Graph& graph, std::size_t dim, const float* x, const float* base,
                 float scale, float* out) {
  check_offsets(graph.offsets, graph.nodes, graph.edges, "offsets");
  check_places(graph.neighbours, graph.edges, graph.nodes, "neighbours");
  const TensorKernels& tensor = kernels().tensor;
  const auto multiply = tensor.binary[static_cast<std::size_t>(Binary::kMultiply)];
  const auto edges = static_cast<std::int32_t>(graph.edges);
  const auto row_of = [&](std::int32_t edge) {
    return x + static_cast<std::size_t>(graph.neighbours[edge]) * dim;
  };
  shared_loop((graph.nodes + kNodesATurn - 1) / kNodesATurn, [&](std::size_t turn) {
    const std::size_t end = std::min(graph.nodes, (turn + 1) * kNodesATurn);
    for (std::size_t node = turn * kNodesATurn; node < end; ++node) {
      float* const sum = out + node * dim;
      std::memcpy(sum, base + node * dim, dim * sizeof(float));
      for (std::int32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
        // Beyond the node's last, those of the next.
        if (edge + kNeighboursAhead < edges) ask_for_row(row_of(edge + kNeighboursAhead), dim);
        tensor.add_weighted(graph.weights[edge], row_of(edge), dim, sum);
      }
      if (scale != 1.0f) multiply(sum, 1, &scale, 0, dim, sum);
    }
  });
}

}  // namespace lichen
