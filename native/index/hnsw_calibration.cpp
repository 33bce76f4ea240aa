// Calibration of an HnswIndex, and what of it stands in a snapshot.

#include <algorithm>
#include <bit>
#include <cmath>

#include "index/hnsw_index.hpp"
#include "index/writer_claim.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

constexpr std::size_t kResults = 10;  // recall@10 is what is learned
constexpr std::uint32_t kBeams[] = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896};
constexpr float kEnough = 0.999f;
// So much less than a plain search with the same beam a plan may find.
constexpr float kLess = 0.005f;
// Of what a plain search costs, hubs may cost as much at most: a plan that is no clear gain on the
// sample can lose much on queries that are unlike it.
constexpr double kClearGain = 0.8;

// For the dot product. How many hubs are worth scoring depends on how much norms differ.
constexpr SearchPlan kPlans[] = {{0, 0}, {16, 2}, {32, 4}, {64, 8}, {96, 8}, {128, 8}};

// Nanoseconds, roughly: of expanding a node, of scoring a row by number, a hub, and of a place in
// the beam that hubs fill.
constexpr double kExpandCost = 120.0;
constexpr double kRowCost = 8.0;
constexpr double kHubCost = 1.0;
constexpr double kPlaceCost = 40.0;
constexpr double kOutOfReach = 4.0;

struct Measured {
  std::vector<RecallPoint> points;
  std::vector<double> costs;

  double cost_at(float recall) const {
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (points[i].recall < recall) continue;
      if (i == 0) return costs[0];
      const double share =
          (recall - points[i - 1].recall) / (points[i].recall - points[i - 1].recall);
      return costs[i - 1] + share * (costs[i] - costs[i - 1]);
    }
    // Out of reach: what it took in vain counts several times.
    return kOutOfReach * costs.back();
  }

  // Leaves out the beams up to the last that finds less than a plain search does.
  void keep_up_with(const Measured& plain) {
    std::size_t first = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const RecallPoint& other = plain.points[std::min(i, plain.points.size() - 1)];
      if (points[i].recall < other.recall - kLess) first = i + 1;
    }
    points.erase(points.begin(), points.begin() + static_cast<std::ptrdiff_t>(first));
    costs.erase(costs.begin(), costs.begin() + static_cast<std::ptrdiff_t>(first));
  }
};

}  // namespace

Calibration HnswIndex::calibration() const {
  ReadLock lock(lock_);
  return calibration_;
}

void HnswIndex::calibrate(const float* queries, std::size_t count) {
  require_finite(queries, count, dim(), "queries");
  // Adds learn it as well, and saves write it.
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  Calibration learned = calibrated(queries, count, nullptr);
  log(Change::Kind::kCalibrate, {}, count, queries, nullptr);
  WriteLock lock(lock_);
  calibration_ = std::move(learned);
}

void HnswIndex::calibrate_by(const std::vector<std::uint32_t>& rows) {
  std::vector<float> queries(rows.size() * dim());
  std::vector<std::uint8_t> linked((store_.rows() + 7) / 8, 0xFF);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    finest().decode(rows[i], queries.data() + i * dim());
    linked[rows[i] / 8] &= static_cast<std::uint8_t>(~(1u << (rows[i] % 8)));
  }
  const RowFilter among(linked.data(), linked.size());
  Calibration learned = calibrated(queries.data(), rows.size(), &among);
  WriteLock lock(lock_);
  std::swap(calibration_, learned);
  calibration_before_ = std::move(learned);
}

Calibration HnswIndex::calibrated(const float* queries, std::size_t count,
                                  const RowFilter* among) const {
  ReadLock lock(lock_);
  SearchOptions options;
  options.k = std::min(kResults, store_.rows() - dead_count_);
  if (options.k == 0) return {};
  options.exact = true;
  options.filter = among;
  std::vector<Hit> truth(count * options.k);
  std::vector<std::uint32_t> counts(count);
  search_flat(queries, count, options, truth.data(), counts.data());
  options.exact = false;
  options.filter = nullptr;

  ScratchPool::Loan loan = scratch_.borrow();
  SearchScratch& scratch = *loan;
  std::vector<Hit> found(options.k);
  const auto recall_at = [&](std::size_t ef, const SearchPlan& plan) {
    std::size_t right = 0;
    for (std::size_t q = 0; q < count; ++q) {
      const std::size_t here =
          search_sample(queries + q * dim(), ef, options, plan, found.data(), scratch);
      const Hit* const first = truth.data() + q * options.k;
      for (std::size_t i = 0; i < here; ++i) {
        right += std::any_of(first, first + options.k,
                             [&](const Hit& hit) { return hit.row == found[i].row; });
      }
    }
    return static_cast<float>(right) / static_cast<float>(truth.size());
  };
  const auto measure = [&](const SearchPlan& plan) {
    Measured measured;
    float best = 0.0f;
    for (const std::uint32_t ef : kBeams) {
      scratch.expanded = scratch.scored = 0;
      const std::size_t beam =
          std::min<std::size_t>(std::max<std::size_t>(ef, options.k), store_.rows());
      best = std::max(best, recall_at(beam, plan));
      measured.points.push_back({ef, best});
      const double hubs = hubs_ == nullptr
                              ? 0.0
                              : static_cast<double>(std::min<std::size_t>(
                                    hubs_->size(), std::size_t{ef} * plan.hubs_a_place));
      measured.costs.push_back(kHubCost * hubs + (hubs > 0.0 ? kPlaceCost * ef : 0.0) +
                               (kExpandCost * static_cast<double>(scratch.expanded) +
                                kRowCost * static_cast<double>(scratch.scored)) /
                                   static_cast<double>(count));
      if (best >= kEnough || ef >= store_.rows()) break;
    }
    return measured;
  };

  Calibration calibration;
  calibration.rows = store_.rows();
  const Measured plain = measure(kPlans[0]);
  Measured chosen = plain;
  if (hubs_ != nullptr) {
    const auto total = [](const Measured& m) { return m.cost_at(0.95f) + m.cost_at(0.99f); };
    double least = kClearGain * total(plain);
    for (std::size_t p = 1; p < std::size(kPlans); ++p) {
      Measured other = measure(kPlans[p]);
      other.keep_up_with(plain);
      if (other.points.empty() || !(total(other) < least)) continue;
      least = total(other);
      chosen = std::move(other);
      calibration.plan = kPlans[p];
    }
  }
  calibration.points = std::move(chosen.points);
  return calibration;
}

// ---- files

void HnswIndex::describe(SnapshotHeader& header, std::vector<SectionData>& sections) const {
  const HnswGraph::Entry start = graph_->entry();
  header.m = static_cast<std::uint32_t>(parameters_.m);
  header.ef_construction = static_cast<std::uint32_t>(parameters_.ef_construction);
  header.seed = parameters_.seed;
  header.entry_row = start.row;
  header.max_level = start.level;
  sections.push_back({SectionType::kLevels, graph_->levels().data(), graph_->levels().size()});
  sections.push_back({SectionType::kBaseLinks, graph_->base_links().data(),
                      graph_->base_links().size() * sizeof(std::uint32_t)});
  sections.push_back({SectionType::kUpperLinks, graph_->upper_links().data(),
                      graph_->upper_links().size() * sizeof(std::uint32_t)});
  if (!norms_.empty()) {
    sections.push_back({SectionType::kNorms, norms_.data(), norms_.size() * sizeof(float)});
  }
  if (hubs_ != nullptr) {
    sections.push_back(
        {SectionType::kHubs, hubs_->rows().data(), hubs_->rows().size() * sizeof(std::uint32_t)});
  }
  if (calibration_.rows == 0) return;
  calibration_words_ = {static_cast<std::uint32_t>(calibration_.rows),
                        calibration_.plan.hubs_a_place, calibration_.plan.patience_of};
  for (const RecallPoint& point : calibration_.points) {
    calibration_words_.push_back(point.ef);
    calibration_words_.push_back(std::bit_cast<std::uint32_t>(point.recall));
  }
  sections.push_back({SectionType::kCalibration, calibration_words_.data(),
                      calibration_words_.size() * sizeof(std::uint32_t)});
}

void HnswIndex::load_hubs(const SnapshotReader& reader) {
  const std::size_t rows = store_.rows();
  const auto refuse = [] { throw Error(Code::kFormat, "its norms or hubs make no sense"); };
  if (metric() == Metric::kDot && reader.has(SectionType::kNorms)) {
    const auto norms = reader.read<float>(SectionType::kNorms, rows);
    norms_.assign(norms.data(), norms.data() + rows);
    // Sorting by them relies on it.
    for (const float norm : norms_) {
      if (!(norm >= 0.0f)) refuse();
    }
    if (reader.has(SectionType::kHubs)) {
      const std::uint64_t count = reader.bytes_of(SectionType::kHubs) / sizeof(std::uint32_t);
      if (count != Hubs::wanted(rows)) refuse();
      const auto section = reader.read<std::uint32_t>(SectionType::kHubs, count);
      std::vector<std::uint32_t> hubs(section.data(), section.data() + count);
      for (const std::uint32_t row : hubs) {
        if (row >= rows) refuse();
      }
      const float least = hubs.empty() ? 0.0f : norms_[hubs.back()];
      hubs_ = std::make_unique<Hubs>(store_, std::move(hubs), least);
      return;
    }
  }
  learn_norms(0);
  learn_hubs(0);
  hubs_before_.reset();
}

void HnswIndex::load(const SnapshotReader& reader) {
  const std::size_t rows = store_.rows();
  AlignedBuffer<std::uint8_t> levels = reader.read<std::uint8_t>(SectionType::kLevels, rows);
  const std::size_t lists = HnswGraph::upper_lists(levels);
  AlignedBuffer<std::uint32_t> base =
      reader.read<std::uint32_t>(SectionType::kBaseLinks, rows * 2 * graph_->m());
  AlignedBuffer<std::uint32_t> upper =
      reader.read<std::uint32_t>(SectionType::kUpperLinks, lists * graph_->m());
  graph_->load(std::move(levels), std::move(base), std::move(upper),
               {reader.header().entry_row, reader.header().max_level}, reader.verifies());
  load_hubs(reader);
  if (!reader.has(SectionType::kCalibration)) return;
  const auto refuse = [] { throw Error(Code::kFormat, "its calibration makes no sense"); };
  const std::uint64_t bytes = reader.bytes_of(SectionType::kCalibration);
  if (bytes < 20 || bytes % 8 != 4 || bytes > 4096) refuse();
  const auto words =
      reader.read<std::uint32_t>(SectionType::kCalibration, bytes / sizeof(std::uint32_t));
  Calibration calibration;
  calibration.rows = words[0];
  calibration.plan = {words[1], words[2]};
  if (words[0] == 0 || words[1] > Hubs::kMost || words[2] > 65536) refuse();
  for (std::size_t i = 3; i < words.size(); i += 2) {
    const RecallPoint point{words[i], std::bit_cast<float>(words[i + 1])};
    const bool rises = calibration.points.empty() || calibration.points.back().ef < point.ef;
    if (!rises || point.ef > kMaxRows || !(point.recall >= 0.0f && point.recall <= 1.0f)) refuse();
    calibration.points.push_back(point);
  }
  calibration_ = std::move(calibration);
}

}  // namespace lichen
