#include "bench/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace lichen::bench {

volatile float sink;

namespace {

constexpr double kSecondsAMeasurement = 0.02;

struct Spread {
  double median;
  double min;
  double max;
};

double rate_of(const std::function<double()>& work, double least_seconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double units = 0.0;
  double seconds = 0.0;
  do {
    units += work();
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < least_seconds);
  return units / seconds;
}

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

std::vector<double> ratios(const std::vector<double>& above, const std::vector<double>& below) {
  std::vector<double> quotients(above.size());
  for (std::size_t i = 0; i < above.size(); ++i) quotients[i] = above[i] / below[i];
  return quotients;
}

void print_ratio(const char* key, const Group& group, const Measurement& of, int by) {
  if (by == kNone) return;
  const Spread s = spread(ratios(of.rates, group[static_cast<std::size_t>(by)].rates));
  std::printf(",\"%s\":%.4g,\"%sMin\":%.4g,\"%sMax\":%.4g", key, s.median, key, s.min, key, s.max);
}

void print(const Group& group, const Measurement& m) {
  std::printf("{\"section\":\"%s\",\"name\":\"%s\"", m.section.c_str(), m.name.c_str());
  if (m.work) {
    std::vector<double> values = m.rates;
    const bool is_time = m.unit.starts_with("ns");
    for (double& value : values) value = is_time ? 1e9 / value : value / 1e9;
    const Spread s = spread(values);
    std::printf(",\"median\":%.4g,\"min\":%.4g,\"max\":%.4g,\"unit\":\"%s\"", s.median, s.min,
                s.max, m.unit.c_str());
    print_ratio("limitShare", group, m, m.limit);
    print_ratio("ratio", group, m, m.peer);
    print_ratio("packingShare", group, m, m.packing);
  }
  if (!m.note.empty()) std::printf(",\"note\":\"%s\"", m.note.c_str());
  std::printf("}");
}

}  // namespace

void measure(std::vector<Group>& groups, int rounds) {
  for (int round = 0; round <= rounds; ++round) {
    for (Group& group : groups) {
      for (Measurement& m : group) {
        if (!m.work) continue;
        const double rate = rate_of(m.work, round == 0 ? 0.0 : kSecondsAMeasurement);
        if (round > 0) m.rates.push_back(rate);
      }
    }
  }
}

void print_json(const std::vector<Group>& groups) {
  const char* separator = "[";
  for (const Group& group : groups) {
    for (const Measurement& m : group) {
      if (m.section.empty()) continue;
      std::printf("%s", separator);
      print(group, m);
      separator = ",\n";
    }
  }
  std::printf("]\n");
}

}  // namespace lichen::bench
