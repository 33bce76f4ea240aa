#pragma once
// FlatIndex: exact search by scoring every row.

#include "index/vector_index.hpp"

namespace lichen {

class FlatIndex final : public VectorIndex {
 public:
  FlatIndex(std::size_t dim, Metric metric) : VectorIndex(IndexKind::kFlat, dim, metric) {}

  std::size_t bytes() const override;

 protected:
  void grow(std::size_t) override {}
  bool link_rows(std::size_t, std::size_t, Progress& progress) override;
  void undo(std::size_t) override {}
  std::size_t search_locked(const float* prepared, const SearchOptions& options,
                            Hit* hits) const override;
  void search_range_locked(const float* prepared, std::size_t count, const SearchOptions& options,
                           Hit* hits, std::uint32_t* counts) const override;
  void describe(SnapshotHeader&, std::vector<SectionData>&) const override {}
  void load(const SnapshotReader&) override {}
};

}  // namespace lichen
