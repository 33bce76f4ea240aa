#pragma once
// One batch of queries of a search.

#include <cmath>

#include "cuda/device_rows.cuh"

namespace lichen::cuda {

class Batch {
 public:
  Batch(DeviceRows& rows, Workspace& workspace, const LichenCudaSearch& search);

  std::size_t most_queries() const { return most_queries_; }
  void run(std::size_t first, std::size_t count);

 private:
  void bring_bits();
  void bring_queries(std::size_t first);
  void score_all(bool again);
  // False if candidates were lost, and nothing is given.
  bool give_results(std::size_t first);
  // Rows [first, last) of what lies on the device, of which row 0 has this number.
  void score(const RowBuffers& rows, std::size_t first, std::size_t last, std::size_t number,
             bool is_first);
  template <class Product, bool kCodes, bool kBits>
  void score_by(const ScoreArguments& arguments);
  template <class Product, bool kCodes, bool kBits, int kQueries>
  void launch_score(ScoreArguments arguments);
  void select(std::size_t keep);
  void rescore_kept();
  bool streams() const { return search_.rows > rows_.resident(); }
  Candidates candidates() const {
    return {space_.keys.get(), space_.counts.get(), space_.limits.get(), places_};
  }

  DeviceRows& rows_;
  Workspace& space_;
  const LichenCudaSearch& search_;
  const LichenCudaSpec& spec_;
  std::size_t keep_;
  unsigned places_;
  std::size_t most_queries_;
  std::size_t query_bytes_;
  unsigned tile_ = 0;
  unsigned count_ = 0;
};

}  // namespace lichen::cuda
