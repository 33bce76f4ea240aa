#pragma once
// k-means with kPqCentroids centroids, for the subspaces of product quantization.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

// `columns`: width × count values, value by value (so that loops over points vectorize), best of
// magnitude near 1. At least kPqCentroids points. k-means++ seeding (Arthur and Vassilvitskii, SODA
// 2007), then Lloyd's iterations. Returns the centroids one after the other.
std::vector<float> kmeans(const std::vector<float>& columns, std::size_t width, std::size_t count,
                          std::uint64_t seed);

}  // namespace lichen
