#pragma once
// FlatIndex: every row is scored. Exact with f32; with other storage types as exact as their codes,
// or as their best candidates, scored anew.

#include "index/vector_index.hpp"

namespace lichen {

class FlatIndex final : public VectorIndex {
 public:
  // Throws Error(kArgument) for options out of range.
  explicit FlatIndex(const StorageOptions& options) : VectorIndex(IndexKind::kFlat, options) {}

  std::size_t bytes() const override;

 protected:
  std::size_t room() const override { return static_cast<std::size_t>(-1); }
  void grow(std::size_t) override {}
  void prepare_growth(std::size_t) override {}
  void finish_growth() noexcept override {}
  void drop_replaced() noexcept override {}
  bool link_rows(const float* vectors, std::size_t before, std::size_t threads,
                 Progress& progress) override;
  void undo(std::size_t) override {}
  bool prepare_compaction(const std::vector<std::uint32_t>&, const std::vector<std::uint32_t>&,
                          std::size_t, Progress& progress) override {
    return !progress.cancel.load();
  }
  void finish_compaction() noexcept override {}
  void search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                     Hit* hits, std::uint32_t* counts) const override {
    search_flat(queries, count, options, hits, counts);
  }
  void describe(SnapshotHeader&, std::vector<SectionData>&) const override {}
  void load(const SnapshotReader&) override {}
};

}  // namespace lichen
