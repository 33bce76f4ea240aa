#pragma once
// Calibration: what searching some sample queries taught of a graph index.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

// How a search with a beam of `ef` is done.
struct SearchPlan {
  std::uint32_t hubs_a_place = 0;  // so many hubs are scored for each place of the beam
  std::uint32_t patience_of = 0;   // patience is ef / patience_of; 0 = without end
};

struct RecallPoint {
  std::uint32_t ef;
  float recall;  // recall@10 of the sample
};

struct Calibration {
  std::size_t rows = 0;  // of the index then; 0 = none was done
  SearchPlan plan;
  // With ef ascending. With hubs the first is the least beam that finds what a plain search would.
  std::vector<RecallPoint> points;

  // The beam to search with where `ef` is asked for: never less is found than elsewhere.
  std::size_t beam_of(std::size_t ef, std::size_t k) const {
    if (plan.hubs_a_place == 0 || points.empty()) return ef;
    return std::max(ef, points.front().ef * std::max<std::size_t>(k, 10) / 10);
  }

  // The beam that reached a recall for 10 results, the largest tried if none did.
  std::size_t beam_for(double recall, std::size_t k) const {
    if (points.empty()) return 0;
    std::size_t ef = points.back().ef;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (points[i].recall < recall) continue;
      ef = points[i].ef;
      if (i > 0 && points[i - 1].recall < recall) {
        // Between two beams recall is taken for a straight line.
        const double share = (recall - points[i - 1].recall) /
                             (static_cast<double>(points[i].recall) - points[i - 1].recall);
        ef = points[i - 1].ef +
             static_cast<std::size_t>(share * (points[i].ef - points[i - 1].ef) + 0.999);
      }
      break;
    }
    return ef * std::max<std::size_t>(k, 10) / 10;
  }
};

}  // namespace lichen
