// Beside simsimd's C kernels (npm package simsimd), where its headers are there.

#include <algorithm>
#include <string>
#include <utility>

#include "bench/sections.hpp"

#if __has_include(<simsimd/simsimd.h>)
#define LICHEN_HAS_SIMSIMD
// All targets that the compiler can make; which run here simsimd asks at run time.
#define SIMSIMD_NATIVE_F16 0
#define SIMSIMD_NATIVE_BF16 0
#if defined(__x86_64__)
#define SIMSIMD_TARGET_HASWELL 1
#define SIMSIMD_TARGET_SKYLAKE 1
#define SIMSIMD_TARGET_ICE 1
#define SIMSIMD_TARGET_GENOA 1
#define SIMSIMD_TARGET_SAPPHIRE 1
#endif
// GCC takes its own intrinsics for reads of what was never set.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <simsimd/simsimd.h>
#endif

namespace lichen::bench {
namespace {

const std::string kPairs = "one pair, beside simsimd";
const std::string kRows = "rows in cache, beside simsimd";

#ifdef LICHEN_HAS_SIMSIMD

constexpr std::size_t kPairBytes = std::size_t{16} << 10;  // pairs are taken from the first level
constexpr std::size_t kPeerRows = 4096;

// The kernel that simsimd itself picks for this processor.
struct PeerKernel {
  simsimd_metric_dense_punned_t call = nullptr;
  std::string target;
};

PeerKernel peer_kernel(simsimd_metric_kind_t metric, simsimd_datatype_t type) {
  simsimd_kernel_punned_t kernel = nullptr;
  simsimd_capability_t target = simsimd_cap_serial_k;
  simsimd_find_kernel_punned(metric, type, simsimd_capabilities(), simsimd_cap_any_k, &kernel,
                             &target);
  constexpr std::pair<int, const char*> kTargets[] = {{simsimd_cap_serial_k, "serial"},
                                                      {simsimd_cap_haswell_k, "haswell"},
                                                      {simsimd_cap_skylake_k, "skylake"},
                                                      {simsimd_cap_ice_k, "ice"},
                                                      {simsimd_cap_genoa_k, "genoa"},
                                                      {simsimd_cap_sapphire_k, "sapphire"},
                                                      {simsimd_cap_turin_k, "turin"},
                                                      {simsimd_cap_sierra_k, "sierra"},
                                                      {simsimd_cap_neon_k, "neon"},
                                                      {simsimd_cap_neon_f16_k, "neon_f16"},
                                                      {simsimd_cap_neon_bf16_k, "neon_bf16"},
                                                      {simsimd_cap_neon_i8_k, "neon_i8"},
                                                      {simsimd_cap_sve_k, "sve"},
                                                      {simsimd_cap_sve_f16_k, "sve_f16"},
                                                      {simsimd_cap_sve_bf16_k, "sve_bf16"},
                                                      {simsimd_cap_sve_i8_k, "sve_i8"}};
  std::string name = "another";
  for (const auto& [capability, text] : kTargets) {
    if (capability == static_cast<int>(target)) name = text;
  }
  // By way of void*: the compiler warns of casts between function types that differ.
  return {reinterpret_cast<simsimd_metric_dense_punned_t>(reinterpret_cast<void*>(kernel)),
          std::move(name)};
}

struct PeerType {
  StorageType type;
  simsimd_datatype_t datatype;
  const char* note;
};

constexpr PeerType kPeerTypes[] = {
    {StorageType::kF32, simsimd_datatype_f32_k, ""},
    {StorageType::kF16, simsimd_datatype_f16_k, "simsimd takes the query in f16, lichen in f32"},
    {StorageType::kBf16, simsimd_datatype_bf16_k, "simsimd takes the query in bf16, lichen in f32"},
    {StorageType::kI8, simsimd_datatype_i8_k, "lichen applies each row's factors too"},
    {StorageType::kB1, simsimd_datatype_b8_k,
     "simsimd: Hamming, a query of 1 bit a value; lichen: 4 bits, 4 times the work, and factors"}};

// A call a row over the first `rows` rows.
std::function<double()> peer_work(const Scenario& scenario, const PeerKernel& kernel,
                                  std::size_t rows) {
  // The content of the query does not matter, but it lies as the peer wants it: as a row.
  const std::uint8_t* query = scenario.rows() + kMemoryBytes / 2;
  const std::size_t size =
      scenario.type() == StorageType::kB1 ? scenario.dim() / 8 : scenario.dim();
  return [scenario, call = kernel.call, rows, query, size] {
    const std::uint8_t* row = scenario.rows();
    float* out = scenario.out();
    for (std::size_t r = 0; r < rows; ++r, row += scenario.row_bytes()) {
      simsimd_distance_t distance;
      call(query, row, size, &distance);
      out[r] = static_cast<float>(distance);
    }
    sink = out[0];
    return static_cast<double>(rows);
  };
}

// The same by lichen's kernel, a call a row.
std::function<double()> pair_work(const Scenario& scenario, const Kernels& table,
                                  std::size_t rows) {
  if (is_float(scenario.type())) {
    return [scenario, kernel = scenario.float_rows(table), rows] {
      const std::uint8_t* row = scenario.rows();
      float* out = scenario.out();
      for (std::size_t r = 0; r < rows; ++r, row += scenario.row_bytes()) {
        kernel(scenario.query(), row, scenario.row_bytes(), 1, scenario.dim(), out + r);
      }
      sink = out[0];
      return static_cast<double>(rows);
    };
  }
  return [scenario, kernel = code_kernels(table, scenario.type()).rows, rows] {
    float* out = scenario.out();
    for (std::size_t r = 0; r < rows; ++r) {
      kernel(scenario.code_query(), scenario.code_rows(), r, 1, out + r);
    }
    sink = out[0];
    return static_cast<double>(rows);
  };
}

std::function<double()> rows_work(const Scenario& scenario, const Kernels& table,
                                  std::size_t rows) {
  return [scenario, &table, rows] {
    scenario.score(table, 0, rows);
    sink = scenario.out()[0];
    return static_cast<double>(rows);
  };
}

void add_compared(const std::string& section, const Scenario& scenario, const PeerKernel& kernel,
                  std::function<double()> ours, std::size_t rows, const char* note,
                  std::vector<Group>& groups) {
  const std::string name = scenario.name();
  Group group;
  group.push_back({section, name + ", simsimd " + kernel.target, "ns a row",
                   peer_work(scenario, kernel, rows)});
  group.push_back({section, name, "ns a row", std::move(ours), kNone, 0, kNone, note});
  groups.push_back(std::move(group));
}

#endif

}  // namespace

void add_simsimd(Inputs& inputs, const Kernels& table, std::vector<Group>& groups) {
#ifdef LICHEN_HAS_SIMSIMD
  for (const std::string& section : {kPairs, kRows}) {
    for (const PeerType& peer : kPeerTypes) {
      for (const std::size_t dim : kDims) {
        for (const Metric metric : {Metric::kDot, Metric::kL2}) {
          const bool is_b1 = peer.type == StorageType::kB1;
          if (is_b1 && metric == Metric::kL2) continue;
          const PeerKernel kernel = peer_kernel(is_b1                   ? simsimd_metric_hamming_k
                                                : metric == Metric::kL2 ? simsimd_metric_l2sq_k
                                                                        : simsimd_metric_dot_k,
                                                peer.datatype);
          const Scenario scenario(inputs, peer.type, dim, metric);
          const bool pairs = section == kPairs;
          const std::size_t rows =
              std::min(kPeerRows, scenario.rows_in(pairs ? kPairBytes : cached_bytes()));
          add_compared(section, scenario, kernel,
                       pairs ? pair_work(scenario, table, rows) : rows_work(scenario, table, rows),
                       rows, peer.note, groups);
        }
      }
    }
    for (const char* name : {"i4", "pq"}) {
      Measurement none{section, name, "", {}};
      none.note = "no counterpart in simsimd";
      groups.push_back({none});
    }
  }
#else
  (void)inputs;
  (void)table;
  Measurement none{kRows, "simsimd", "", {}};
  none.note = "not there: its headers were not found when this was built";
  groups.push_back({none});
#endif
}

}  // namespace lichen::bench
