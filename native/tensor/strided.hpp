#pragma once
// Arrays as views: a number of elements and a step for each axis, as NumPy has it. Broadcasting is
// a step of 0, a transposition a permutation of steps.

#include <array>
#include <cstddef>
#include <cstdint>

namespace lichen {

inline constexpr std::size_t kMostAxes = 12;

// Steps of `kViews` arrays over the same axes, in elements.
template <std::size_t kViews>
struct Axes {
  std::size_t rank = 0;
  std::array<std::size_t, kMostAxes> extents{};
  std::array<std::array<std::ptrdiff_t, kMostAxes>, kViews> steps{};

  std::size_t count() const {
    std::size_t product = 1;
    for (std::size_t axis = 0; axis < rank; ++axis) product *= extents[axis];
    return product;
  }

  // The elements before and after the first one that a view reaches; 0 if there are none at all.
  struct Reach {
    std::size_t before = 0;
    std::size_t after = 0;
  };
  Reach reach(std::size_t view) const {
    Reach reach;
    if (count() == 0) return reach;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const std::ptrdiff_t step = steps[view][axis];
      const std::size_t last = extents[axis] - 1;
      if (step < 0) {
        reach.before += last * static_cast<std::size_t>(-step);
      } else {
        reach.after += last * static_cast<std::size_t>(step);
      }
    }
    return reach;
  }
};

// Goes through rows [first, last) of the last axis in order; calls row(offset of each view,
// number).
template <std::size_t kViews, class Row>
void for_rows(const Axes<kViews>& axes, std::size_t first, std::size_t last, Row&& row) {
  std::array<std::size_t, kMostAxes> at{};
  std::array<std::ptrdiff_t, kViews> offsets{};
  const std::size_t outer = axes.rank == 0 ? 0 : axes.rank - 1;
  std::size_t rest = first;
  for (std::size_t axis = outer; axis-- > 0;) {
    at[axis] = rest % axes.extents[axis];
    rest /= axes.extents[axis];
    for (std::size_t view = 0; view < kViews; ++view) {
      offsets[view] += static_cast<std::ptrdiff_t>(at[axis]) * axes.steps[view][axis];
    }
  }
  for (std::size_t number = first; number < last; ++number) {
    row(offsets, number);
    for (std::size_t axis = outer; axis-- > 0;) {
      for (std::size_t view = 0; view < kViews; ++view) offsets[view] += axes.steps[view][axis];
      if (++at[axis] < axes.extents[axis]) break;
      at[axis] = 0;
      for (std::size_t view = 0; view < kViews; ++view) {
        offsets[view] -= static_cast<std::ptrdiff_t>(axes.extents[axis]) * axes.steps[view][axis];
      }
    }
  }
}

// out[...] = in[...] for elements of `element_bytes` bytes, 1 or 4; view 0 is `in`, view 1 `out`.
// `in` and `out` are the first elements and do not overlap.
void copy_strided(const Axes<2>& axes, std::size_t element_bytes, const void* in, void* out);

}  // namespace lichen
