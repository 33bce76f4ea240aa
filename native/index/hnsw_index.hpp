#pragma once
// HnswIndex: approximate search by a hierarchical navigable small-world graph over the codes of any
// storage type, with the same parameters as hnswlib: m links a node above level 0, 2m on it.
//
// For the dot product a search begins with the rows of the greatest norm (see hubs.hpp), for other
// metrics at the graph's entry.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "index/calibration.hpp"
#include "index/graph_builder.hpp"
#include "index/hnsw_graph.hpp"
#include "index/hubs.hpp"
#include "index/search_scratch.hpp"
#include "index/vector_index.hpp"

namespace lichen {

struct HnswParameters {
  std::size_t m = 16;
  std::size_t ef_construction = 100;
  std::uint64_t seed = 42;
};

inline constexpr std::size_t kMinM = 2;
inline constexpr std::size_t kMaxM = 512;
inline constexpr std::size_t kMaxEfConstruction = 65536;
// The beam of a search that names none, unless k is larger.
inline constexpr std::size_t kDefaultEf = 64;
inline constexpr std::size_t kCalibrationQueries = 128;

class HnswIndex final : public VectorIndex {
 public:
  // Throws Error(kArgument) if a parameter is out of range.
  HnswIndex(const StorageOptions& storage, const HnswParameters& parameters);
  // With f32.
  HnswIndex(std::size_t dim, Metric metric, const HnswParameters& parameters);

  // An index with the vectors and the graph of a file of hnswlib, without the rows marked as
  // deleted. The keys are the labels; or those given, if the labels are the row numbers, of which
  // rows beyond them must be deleted. The file says neither its metric nor its dim: options do.
  // Throws like read_hnswlib and append; kAborted if cancelled.
  static std::unique_ptr<HnswIndex> from_hnswlib(const std::string& path,
                                                 const StorageOptions& options,
                                                 std::optional<KeyBatch> keys, std::size_t threads,
                                                 Progress& progress);

  std::size_t bytes() const override;
  const HnswParameters& parameters() const { return parameters_; }
  // What is known of recall at each beam.
  Calibration calibration() const;
  // Learns it, and how to search best, from queries (count × dim()); an add that at least doubles
  // the index does so from some of its rows.
  void calibrate(const float* queries, std::size_t count) override;

 protected:
  std::size_t room() const override { return graph_->room(); }
  void grow(std::size_t rows) override;
  void prepare_growth(std::size_t rows) override;
  void finish_growth() noexcept override;
  void drop_replaced() noexcept override { next_ = {}; }
  bool link_rows(const float* vectors, std::size_t before, std::size_t threads,
                 Progress& progress) override;
  void undo(std::size_t before) override;
  bool prepare_compaction(const std::vector<std::uint32_t>& rows,
                          const std::vector<std::uint32_t>& new_numbers, std::size_t threads,
                          Progress& progress) override;
  void finish_compaction() noexcept override;
  void search_locked(const float* queries, std::size_t count, const SearchOptions& options,
                     Hit* hits, std::uint32_t* counts) const override;
  // Walks the graph to what is near, and on from there over all that is near enough.
  std::vector<Hit> within_locked(const float* query, float limit,
                                 const SearchOptions& options) const override;
  void describe(SnapshotHeader& header, std::vector<SectionData>& sections) const override;
  void load(const SnapshotReader& reader) override;

 private:
  void load_hubs(const SnapshotReader& reader);
  std::size_t beam_for(const SearchOptions& options) const;
  // How the graph is searched once.
  struct GraphSearchOptions {
    std::size_t ef;
    SearchPlan plan;
    double share = 1.0;  // of the rows that may be returned, about
    bool two_hops = false;
    std::size_t budget = static_cast<std::size_t>(-1);  // nodes that may be expanded
  };
  // Codes whose distance by the finest store is not above `limit` and that the graph leads to, in
  // no order, into the scratch's `within`; false if every row had better be scored.
  bool within_graph(const float* query, float limit, std::size_t ef, std::size_t budget,
                    SearchScratch& scratch) const;
  // Gives hits their distance by the finer store.
  void score_finely(const float* query, std::vector<Hit>& hits) const;
  // `admits` says which rows may be returned. Returns 0 if it gave up.
  template <class Admits>
  std::size_t search_graph(const float* query, const GraphSearchOptions& how,
                           const SearchOptions& options, const Admits& admits, Hit* hits,
                           SearchScratch& scratch) const;
  // Of every row, for calibration.
  std::size_t search_sample(const float* query, std::size_t ef, const SearchOptions& options,
                            const SearchPlan& plan, Hit* hits, SearchScratch& scratch) const;
  void finish_linking(std::size_t before);
  void learn_norms(std::size_t before);
  // Makes the hubs those of all rows but some (ascending), the newest being those from `before` on.
  void learn_hubs(std::size_t before, const std::vector<std::uint32_t>& without = {});
  // Rows that are not linked yet as queries.
  void calibrate_by(const std::vector<std::uint32_t>& rows);
  Calibration calibrated(const float* queries, std::size_t count, const RowFilter* among) const;

  HnswParameters parameters_;
  // What growth and compaction replace.
  struct Rest {
    std::unique_ptr<HnswGraph> graph;
    std::vector<float> norms;
    std::unique_ptr<Hubs> hubs;
  };
  std::unique_ptr<HnswGraph> graph_;
  Rest next_;  // being made ready, then what it has replaced
  // What an add has replaced.
  std::optional<std::unique_ptr<Hubs>> hubs_before_;
  std::optional<Calibration> calibration_before_;
  std::atomic<bool> linking_{false};
  std::unique_ptr<GraphBuilder> builder_;
  std::unique_ptr<HnswGraph> imported_;  // by the first add, which then has nothing to link
  bool is_imported_ = false;
  std::vector<float> norms_;  // dot only
  std::unique_ptr<Hubs> hubs_;
  Calibration calibration_;
  mutable std::vector<std::uint32_t> calibration_words_;  // of the snapshot being written
  mutable ScratchPool scratch_;
};

}  // namespace lichen
