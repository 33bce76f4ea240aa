// The least of many values, chosen and sorted by counting: comparisons whose outcome cannot be
// foreseen cost more as branches than all of them do in vectors.

constexpr std::size_t kRankUnit = 16;  // numbers of values are made multiples of this
constexpr std::size_t kMostRanked = 256;
constexpr std::size_t kMostGroups = 2 * kMostNearest;

// ranks[i] = how many of some values are less than values[i]; `count` is a multiple of kRankUnit.
void rank_values(const float* __restrict values, std::size_t count,
                 std::int32_t* __restrict ranks) {
  for (std::size_t i = 0; i < count; ++i) ranks[i] = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const float value = values[j];
    for (std::size_t i = 0; i < count; ++i) ranks[i] += value < values[i] ? 1 : 0;
  }
}

// The values go in groups, by turns: as many groups as there are to be nearest hold one that is not
// farther than the farthest of their nearest ones. So one pass finds a limit that few more values
// keep than are wanted, and only these are sorted.
float limit_of_groups(const float* values, std::size_t count, std::size_t groups,
                      std::size_t most) {
  float least[kMostGroups];
  std::int32_t ranks[kMostGroups];
  for (float& value : least) value = __builtin_inff();
  for (std::size_t first = 0; first < count; first += groups) {
    const float* const turn = values + first;
    const std::size_t here = count - first < groups ? count - first : groups;
    for (std::size_t g = 0; g < here; ++g) least[g] = turn[g] < least[g] ? turn[g] : least[g];
  }
  rank_values(least, groups, ranks);
  // The greatest rank up to the last wanted one is its own: equal values have the rank of the
  // first.
  float limit = -__builtin_inff();
  for (std::size_t g = 0; g < groups; ++g) {
    if (ranks[g] < static_cast<std::int32_t>(most) && least[g] > limit) limit = least[g];
  }
  return limit;
}

std::size_t nearest(const float* values, std::size_t count, std::size_t most,
                    std::uint32_t* positions) {
  const std::size_t groups = (2 * most + kRankUnit - 1) / kRankUnit * kRankUnit;
  const float limit =
      count < 2 * groups ? __builtin_inff() : limit_of_groups(values, count, groups, most);
  const std::size_t found = collect(values, count, limit, positions);
  float chosen[kMostRanked];
  std::uint32_t places[kMostRanked];
  std::int32_t ranks[kMostRanked];
  std::size_t size = 0;
  for (std::size_t i = 0; i < found; ++i) {
    const float value = values[positions[i]];
    if (!(value < __builtin_inff())) continue;
    if (size == kMostRanked) return kTooManyNearest;
    places[size] = positions[i];
    chosen[size++] = value;
  }
  std::size_t padded = size;
  for (; padded % kRankUnit != 0; ++padded) chosen[padded] = __builtin_inff();
  rank_values(chosen, padded, ranks);
  // Equal values take the places from their common rank on.
  std::uint32_t taken[kMostRanked / 32] = {};
  for (std::size_t i = 0; i < size; ++i) {
    auto rank = static_cast<std::size_t>(ranks[i]);
    while (taken[rank / 32] >> (rank % 32) & 1) ++rank;
    taken[rank / 32] |= 1u << (rank % 32);
    positions[rank] = places[i];
  }
  return size < most ? size : most;
}
