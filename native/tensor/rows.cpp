#include "tensor/rows.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/error.hpp"
#include "runtime/shared_loop.hpp"
#include "tensor/row_lists.hpp"

namespace lichen {
namespace {

constexpr std::size_t kGrainBytes = std::size_t{1} << 18;  // of a thread, at least

}  // namespace

void gather_rows(const Gathering& gathering, const void* x, const std::int32_t* indices,
                 void* out) {
  const auto [batch, outer, rows, count, bytes] = gathering;
  for (std::size_t i = 0; i < batch * count; ++i) {
    if (indices[i] >= 0 && static_cast<std::size_t>(indices[i]) < rows) continue;
    throw Error(Code::kArgument, "index " + std::to_string(indices[i]) + " at place " +
                                     std::to_string(i) + " is not one of " + std::to_string(rows) +
                                     " rows");
  }
  const auto* const from = static_cast<const std::uint8_t*>(x);
  auto* const to = static_cast<std::uint8_t*>(out);
  const std::size_t all = batch * outer * count;
  if (all == 0 || bytes == 0) return;
  shared_ranges(all, std::max<std::size_t>(1, kGrainBytes / bytes),
                [&, count = count, outer = outer, rows = rows, bytes = bytes](std::size_t first,
                                                                              std::size_t last) {
                  for (std::size_t at = first; at < last; ++at) {
                    const std::size_t group = at / count;  // batch and outer
                    const std::size_t index = group / outer * count + at % count;
                    const auto row = static_cast<std::size_t>(indices[index]);
                    std::memcpy(to + at * bytes, from + (group * rows + row) * bytes, bytes);
                  }
                });
}

void sum_segments(const float* x, const std::int32_t* ids, std::size_t rows, std::size_t width,
                  std::size_t segments, float* out) {
  if (segments * width == 0) return;
  std::memset(out, 0, segments * width * sizeof(float));
  const RowLists lists(ids, rows, segments);
  const auto accumulate = kernels().tensor.accumulate;
  const std::size_t each = std::max<std::size_t>(
      1, rows * width * sizeof(float) / std::max<std::size_t>(1, lists.size()));
  shared_ranges(lists.size(), std::max<std::size_t>(1, kGrainBytes / each),
                [&](std::size_t first, std::size_t last) {
                  std::vector<double> sums(width);
                  for (std::size_t i = first; i < last; ++i) {
                    float* const to = out + lists.row(i) * width;
                    if (lists.end(i) - lists.begin(i) == 1) {
                      std::memcpy(to, x + *lists.begin(i) * width, width * sizeof(float));
                      continue;
                    }
                    std::fill(sums.begin(), sums.end(), 0.0);
                    for (const std::uint32_t* at = lists.begin(i); at != lists.end(i); ++at) {
                      accumulate(x + *at * width, width, sums.data());
                    }
                    for (std::size_t c = 0; c < width; ++c) to[c] = static_cast<float>(sums[c]);
                  }
                });
}

}  // namespace lichen
