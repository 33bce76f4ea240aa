#pragma once
// Hubs: the rows of the greatest norm, copied side by side in the order of their norms. Where norms
// differ much, most of what scores high by the dot product is among them (Yan et al., "Norm-ranging
// LSH for maximum inner product search", NeurIPS 2018), and scoring rows that lie side by side
// costs a fraction of reaching them over links.

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "index/beam.hpp"
#include "index/search_scratch.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

class Hubs {
 public:
  // Of some rows of a store, given the norm of every row.
  Hubs(const EmbeddingStore& store, const std::vector<float>& norms,
       std::vector<std::uint32_t> rows);

  // Those rows, by falling norm.
  Hubs(const EmbeddingStore& store, std::vector<std::uint32_t> rows, float least_norm);

  static constexpr std::size_t kMost = 8192;
  // How many there are of so many rows.
  static std::size_t wanted(std::size_t rows) { return std::min(kMost, rows / 4); }
  float least_norm() const { return least_norm_; }
  // The rows have got new numbers.
  void renumber(const std::vector<std::uint32_t>& new_numbers) {
    for (std::uint32_t& row : rows_) row = new_numbers[row];
  }
  std::size_t size() const { return rows_.size(); }
  const std::vector<std::uint32_t>& rows() const { return rows_; }
  std::size_t bytes() const { return codes_.bytes() + rows_.capacity() * sizeof(std::uint32_t); }

  // Offers the first `count` of them to the scratch's beam, and counts those that are in it as met.
  template <class Admits>
  void enter(const PreparedQuery& query, std::size_t count, SearchScratch& scratch,
             const Admits& admits) const {
    Beam& beam = scratch.beam;
    if constexpr (std::is_same_v<Admits, AllRows>) {
      // More distances than a list of links has.
      scratch.fit(count);
      codes_.distances(query, std::size_t{0}, count, scratch.distances.data());
      beam.fill(scratch.distances.data(), rows_.data(), count);
    } else {
      score(query, count, [&](const float* distances, const std::uint32_t* rows, std::size_t here) {
        beam.insert(distances, rows, here, admits);
      });
    }
    // Others may be met again, but being farther than the beam they will not enter it.
    for (std::size_t i = 0; i < beam.size(); ++i) scratch.visited.meet(beam.row(i));
  }

  // Calls visit(distances, rows, n) with the first `count` of them, n at a time.
  template <class Visit>
  void score(const PreparedQuery& query, std::size_t count, const Visit& visit) const {
    float distances[kPiece];
    for (std::size_t first = 0; first < count; first += kPiece) {
      const std::size_t here = std::min(kPiece, count - first);
      codes_.distances(query, first, here, distances);
      visit(distances, rows_.data() + first, here);
    }
  }

 private:
  static constexpr std::size_t kPiece = 64;

  void copy_codes(const EmbeddingStore& store);

  EmbeddingStore codes_;
  std::vector<std::uint32_t> rows_;
  float least_norm_ = 0.0f;
};

}  // namespace lichen
