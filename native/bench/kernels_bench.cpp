// What the kernels reach beside what the machine can do, one thread: GFLOP/s on rows that lie in
// the cache against the rate of multiply-adds alone, GB/s on rows that lie in memory against the
// rate of reading alone. Limits and kernels take turns within a round. Prints one JSON document.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/aligned.hpp"
#include "runtime/random.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lichen {
namespace {

constexpr int kRounds = 7;
constexpr double kSecondsAMeasurement = 0.05;
constexpr std::size_t kMemoryBytes = std::size_t{256} << 20;
constexpr std::size_t kCachedBytes = std::size_t{128} << 10;

volatile float sink;

// Units a second; `work` does some and says how many.
double rate(const std::function<double()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double units = 0.0;
  double seconds = 0.0;
  do {
    units += work();
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < kSecondsAMeasurement);
  return units / seconds;
}

#if defined(__x86_64__)
// Ten independent sums keep both multiply-add units busy: 4 cycles of latency, 2 a cycle.
__attribute__((target("avx512f"))) double multiply_add_avx512() {
  __m512 sums[10];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0f);
  const __m512 factor = _mm512_set1_ps(0.999f);
  for (int i = 0; i < 20000; ++i) {
    for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, factor, factor);
  }
  for (int i = 1; i < 10; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  sink = _mm512_cvtss_f32(sums[0]);
  return 20000.0 * 10 * 16 * 2;
}

__attribute__((target("avx2,fma"))) double multiply_add_avx2() {
  __m256 sums[10];
  for (auto& sum : sums) sum = _mm256_set1_ps(1.0f);
  const __m256 factor = _mm256_set1_ps(0.999f);
  for (int i = 0; i < 20000; ++i) {
    for (auto& sum : sums) sum = _mm256_fmadd_ps(sum, factor, factor);
  }
  for (int i = 1; i < 10; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  sink = _mm256_cvtss_f32(sums[0]);
  return 20000.0 * 10 * 8 * 2;
}
#endif

double multiply_add(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return multiply_add_avx512();
  if (isa == "avx2") return multiply_add_avx2();
#endif
  (void)isa;
  float sums[16] = {};
  for (int i = 0; i < 20000; ++i) {
    for (float& sum : sums) sum = sum * 0.999f + 0.999f;
  }
  float total = 0.0f;
  for (const float sum : sums) total += sum;
  sink = total;
  return 20000.0 * 16 * 2;
}

double read_all(const AlignedBuffer<float>& values) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(values.data());
  const std::size_t count = values.size() / 2;
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i + 8 <= count; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] ^= words[i + lane];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all ^= sum;
  sink = static_cast<float>(all);
  return static_cast<double>(count * 8);
}

struct Line {
  std::string name;
  std::function<double()> work;
  double unit;
  std::vector<double> rates;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run() {
  AlignedBuffer<float> values;
  values.resize(kMemoryBytes / sizeof(float), 0.0f);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(splitmix64(1, i) >> 40) * 0x1p-24f - 0.5f;
  }
  std::vector<float> out(kMemoryBytes / sizeof(float) / 32);
  std::vector<Line> lines;
  lines.push_back({"limit: read memory, GB/s", [&] { return read_all(values); }, 1e9, {}});
  for (const Kernels* table : runnable_kernels()) {
    const std::string isa = table->isa;
    lines.push_back(
        {isa + " limit: multiply-add, GFLOP/s", [isa] { return multiply_add(isa); }, 1e9, {}});
    for (const std::size_t dim : {32, 64, 128, 768}) {
      const std::string suffix = ", dim " + std::to_string(dim);
      for (const bool l2 : {false, true}) {
        const RowsKernel kernel = l2 ? table->l2_rows : table->dot_rows;
        const double operations = l2 ? 3.0 : 2.0;
        const auto scan = [&values, &out, kernel, dim](std::size_t bytes) {
          const std::size_t rows = bytes / sizeof(float) / dim;
          kernel(values.data(), values.data(), dim, rows, dim, out.data());
          sink = out[rows - 1];
          return static_cast<double>(rows * dim);
        };
        const std::string name = isa + (l2 ? " l2" : " dot");
        lines.push_back({name + " in cache, GFLOP/s" + suffix,
                         [scan, operations] { return scan(kCachedBytes) * operations; },
                         1e9,
                         {}});
        lines.push_back({name + " in memory, GB/s" + suffix,
                         [scan] { return scan(kMemoryBytes) * sizeof(float); },
                         1e9,
                         {}});
      }
    }
  }
  for (int round = 0; round <= kRounds; ++round) {
    for (Line& line : lines) {
      const double measured = rate(line.work) / line.unit;
      if (round > 0) line.rates.push_back(measured);
    }
  }
  std::printf("[");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto [least, most] = std::minmax_element(lines[i].rates.begin(), lines[i].rates.end());
    std::printf("%s{\"name\":\"%s\",\"median\":%.4g,\"min\":%.4g,\"max\":%.4g}",
                i == 0 ? "" : ",\n", lines[i].name.c_str(), median(lines[i].rates), *least, *most);
  }
  std::printf("]\n");
  return 0;
}

}  // namespace
}  // namespace lichen

int main() { return lichen::run(); }
