#include "tensor/strided.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/kernels.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {
namespace {

constexpr std::size_t kCopyGrain = std::size_t{1} << 16;  // elements of a thread, at least
constexpr std::size_t kTransposedTile = 64;               // rows and columns that fit the L1

// Drops axes of one element and joins axes that follow each other in both views.
Axes<2> simplified(const Axes<2>& axes) {
  Axes<2> simple;
  for (std::size_t axis = 0; axis < axes.rank; ++axis) {
    const std::size_t extent = axes.extents[axis];
    if (extent == 1) continue;
    if (simple.rank > 0) {
      const std::size_t last = simple.rank - 1;
      bool joins = true;
      for (std::size_t view = 0; view < 2; ++view) {
        joins = joins && simple.steps[view][last] ==
                             axes.steps[view][axis] * static_cast<std::ptrdiff_t>(extent);
      }
      if (joins) {
        simple.extents[last] *= extent;
        for (std::size_t view = 0; view < 2; ++view) {
          simple.steps[view][last] = axes.steps[view][axis];
        }
        continue;
      }
    }
    simple.extents[simple.rank] = extent;
    for (std::size_t view = 0; view < 2; ++view) {
      simple.steps[view][simple.rank] = axes.steps[view][axis];
    }
    ++simple.rank;
  }
  if (simple.rank == 0) {
    simple.rank = 1;
    simple.extents[0] = 1;
  }
  return simple;
}

template <class T>
void copy_row(const T* in, std::ptrdiff_t in_step, std::size_t count, T* out,
              std::ptrdiff_t out_step) {
  if (in_step == 1 && out_step == 1) {
    std::memcpy(out, in, count * sizeof(T));
  } else if (in_step == 0 && out_step == 1) {
    std::fill(out, out + count, *in);
  } else {
    const auto length = static_cast<std::ptrdiff_t>(count);
    for (std::ptrdiff_t i = 0; i < length; ++i) out[i * out_step] = in[i * in_step];
  }
}

template <class T>
void copy_rows(const Axes<2>& axes, const T* in, T* out) {
  const std::size_t length = axes.extents[axes.rank - 1];
  const std::ptrdiff_t in_step = axes.steps[0][axes.rank - 1];
  const std::ptrdiff_t out_step = axes.steps[1][axes.rank - 1];
  if (axes.rank == 1) {
    shared_ranges(length, kCopyGrain, [&](std::size_t first, std::size_t last) {
      const auto at = static_cast<std::ptrdiff_t>(first);
      copy_row(in + at * in_step, in_step, last - first, out + at * out_step, out_step);
    });
    return;
  }
  const std::size_t rows = axes.count() / length;
  shared_ranges(rows, std::max<std::size_t>(1, kCopyGrain / length),
                [&](std::size_t first, std::size_t last) {
                  for_rows(axes, first, last, [&](const auto& offsets, std::size_t) {
                    copy_row(in + offsets[0], in_step, length, out + offsets[1], out_step);
                  });
                });
}

// The axis other than the last whose elements follow each other in `in`, while those of the last do
// in `out`: then tiles of both are transposed. Otherwise `rank`.
std::size_t transposed_axis(const Axes<2>& axes) {
  const std::size_t last = axes.rank - 1;
  if (axes.steps[1][last] != 1 || axes.steps[0][last] == 1 || axes.steps[0][last] < 1) {
    return axes.rank;
  }
  for (std::size_t axis = 0; axis < last; ++axis) {
    if (axes.steps[0][axis] == 1 && axes.steps[1][axis] > 0) return axis;
  }
  return axes.rank;
}

void copy_transposed(const Axes<2>& axes, std::size_t axis, const std::uint32_t* in,
                     std::uint32_t* out) {
  const std::size_t last = axes.rank - 1;
  const std::size_t rows = axes.extents[last];  // of `in`
  const std::size_t columns = axes.extents[axis];
  const auto in_step = static_cast<std::size_t>(axes.steps[0][last]);
  const auto out_step = static_cast<std::size_t>(axes.steps[1][axis]);
  const std::size_t row_tiles = (rows + kTransposedTile - 1) / kTransposedTile;
  const std::size_t column_tiles = (columns + kTransposedTile - 1) / kTransposedTile;
  // What is left, with an axis for the tiles of a matrix, which for_rows does not step through.
  Axes<2> others;
  for (std::size_t other = 0; other < last; ++other) {
    if (other == axis) continue;
    others.extents[others.rank] = axes.extents[other];
    for (std::size_t view = 0; view < 2; ++view) {
      others.steps[view][others.rank] = axes.steps[view][other];
    }
    ++others.rank;
  }
  others.extents[others.rank++] = 1;
  const std::size_t tiles = row_tiles * column_tiles;
  const auto transpose = kernels().tensor.transpose;
  const std::size_t tile_elements = kTransposedTile * kTransposedTile;
  shared_ranges(others.count() * tiles, std::max<std::size_t>(1, kCopyGrain / tile_elements),
                [&](std::size_t first_tile, std::size_t last_tile) {
                  for_rows(others, first_tile / tiles, (last_tile + tiles - 1) / tiles,
                           [&](const auto& offsets, std::size_t matrix) {
                             const std::size_t from =
                                 matrix * tiles > first_tile ? 0 : first_tile - matrix * tiles;
                             const std::size_t to = std::min(tiles, last_tile - matrix * tiles);
                             for (std::size_t tile = from; tile < to; ++tile) {
                               const std::size_t row = tile / column_tiles * kTransposedTile;
                               const std::size_t column = tile % column_tiles * kTransposedTile;
                               transpose(in + offsets[0] + row * in_step + column, in_step,
                                         std::min(kTransposedTile, rows - row),
                                         std::min(kTransposedTile, columns - column),
                                         out + offsets[1] + column * out_step + row, out_step);
                             }
                           });
                });
}

}  // namespace

void copy_strided(const Axes<2>& axes, std::size_t element_bytes, const void* in, void* out) {
  if (axes.count() == 0) return;
  const Axes<2> simple = simplified(axes);
  if (element_bytes == 1) {
    copy_rows(simple, static_cast<const std::uint8_t*>(in), static_cast<std::uint8_t*>(out));
    return;
  }
  const auto* const words = static_cast<const std::uint32_t*>(in);
  auto* const words_out = static_cast<std::uint32_t*>(out);
  const std::size_t axis = transposed_axis(simple);
  if (axis < simple.rank) {
    copy_transposed(simple, axis, words, words_out);
  } else {
    copy_rows(simple, words, words_out);
  }
}

}  // namespace lichen
