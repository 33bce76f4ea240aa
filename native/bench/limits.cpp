#include "bench/limits.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace lichen::bench {
namespace {

constexpr int kSteps = 20000;
constexpr std::size_t kReadBytes = std::size_t{4} << 20;

// Loops over registers. Ten independent sums keep two units of four cycles' latency busy.
constexpr int kSums = 10;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double multiply_add_avx512() {
  __m512 sums[kSums];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0f);
  const __m512 factor = _mm512_set1_ps(0.999f);
  for (int i = 0; i < kSteps; ++i) {
    for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, factor, factor);
  }
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  sink = _mm512_cvtss_f32(sums[0]);
  return 2.0 * kSteps * kSums * 16;
}

__attribute__((target("avx2,fma"))) double multiply_add_avx2() {
  __m256 sums[kSums];
  for (auto& sum : sums) sum = _mm256_set1_ps(1.0f);
  const __m256 factor = _mm256_set1_ps(0.999f);
  for (int i = 0; i < kSteps; ++i) {
    for (auto& sum : sums) sum = _mm256_fmadd_ps(sum, factor, factor);
  }
  for (int i = 1; i < kSums; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  sink = _mm256_cvtss_f32(sums[0]);
  return 2.0 * kSteps * kSums * 8;
}

__attribute__((target("avx512f,avx512vnni"))) double byte_products_avx512vnni() {
  __m512i sums[kSums];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  const __m512i factor = _mm512_set1_epi8(3);
  for (int i = 0; i < kSteps; ++i) {
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, factor, factor);
  }
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  alignas(64) std::int32_t lanes[16];
  _mm512_store_si512(lanes, sums[0]);
  sink = static_cast<float>(lanes[0]);
  return 2.0 * kSteps * kSums * 64;
}
#elif defined(__aarch64__)
double multiply_add_neon() {
  constexpr int kMoreSums = 2 * kSums;  // four units on wide cores
  float32x4_t sums[kMoreSums];
  for (auto& sum : sums) sum = vdupq_n_f32(1.0f);
  const float32x4_t factor = vdupq_n_f32(0.999f);
  for (int i = 0; i < kSteps; ++i) {
    for (auto& sum : sums) sum = vfmaq_f32(factor, sum, factor);
  }
  for (int i = 1; i < kMoreSums; ++i) sums[0] = vaddq_f32(sums[0], sums[i]);
  sink = vaddvq_f32(sums[0]);
  return 2.0 * kSteps * kMoreSums * 4;
}
#endif

// As far as the compiler gets without naming an instruction set.
double multiply_add_scalar() {
  constexpr int kFloats = 48;
  float sums[kFloats] = {};
  for (int i = 0; i < kSteps; ++i) {
    for (float& sum : sums) sum = sum * 0.999f + 0.999f;
  }
  float total = 0.0f;
  for (const float sum : sums) total += sum;
  sink = total;
  return 2.0 * kSteps * kFloats;
}

std::uint64_t read_plain(const std::uint8_t* bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes);
  std::uint64_t sums[16] = {};
  for (std::size_t i = 0; i < kReadBytes / 8; i += 16) {
    for (std::size_t lane = 0; lane < 16; ++lane) sums[lane] ^= words[i + lane];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all ^= sum;
  return all;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::uint8_t* bytes) {
  __m512i sums[4];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < kReadBytes; i += sizeof sums) {
    for (std::size_t v = 0; v < 4; ++v) {
      sums[v] = _mm512_xor_si512(sums[v], _mm512_loadu_si512(bytes + i + 64 * v));
    }
  }
  alignas(64) std::uint64_t lanes[8];
  _mm512_store_si512(lanes, _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]),
                                             _mm512_xor_si512(sums[2], sums[3])));
  return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4] ^ lanes[5] ^ lanes[6] ^ lanes[7];
}
#endif

std::function<double()> read_from(const std::uint8_t* memory) {
  auto* read = read_plain;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) read = read_avx512;
#endif
  return [memory, read, at = std::size_t{0}]() mutable {
    sink = static_cast<float>(read(memory + at));
    at = (at + kReadBytes) % kMemoryBytes;
    return static_cast<double>(kReadBytes);
  };
}

// Memory on pages of the usual size.
std::shared_ptr<std::uint8_t> small_pages() {
  constexpr std::size_t kPage = 4096;
  auto* const memory = static_cast<std::uint8_t*>(std::aligned_alloc(kPage, kMemoryBytes));
  if (memory == nullptr) throw std::bad_alloc();
#ifdef __linux__
  ::madvise(memory, kMemoryBytes, MADV_NOHUGEPAGE);
#endif
  for (std::size_t i = 0; i < kMemoryBytes; ++i) memory[i] = static_cast<std::uint8_t>(i * 7);
  return {memory, std::free};
}

}  // namespace

std::function<double()> read_memory(Inputs& inputs) { return read_from(inputs.rows.data()); }

std::function<double()> multiply_add(const std::string& isa) {
#if defined(__x86_64__)
  if (isa.starts_with("avx512")) return multiply_add_avx512;
  if (isa == "avx2") return multiply_add_avx2;
#elif defined(__aarch64__)
  if (isa.starts_with("neon")) return multiply_add_neon;
#endif
  (void)isa;
  return multiply_add_scalar;
}

std::function<double()> byte_products(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512vnni") return byte_products_avx512vnni;
#endif
  (void)isa;
  return {};
}

Group limits(Inputs& inputs) {
  const std::string section = "limits";
  Group group;
  group.push_back({section, "read, huge pages", "GB/s", read_memory(inputs)});
  const auto memory = small_pages();
  group.push_back({section, "read, small pages", "GB/s",
                   [memory, read = read_from(memory.get())] { return read(); }});
  for (const Kernels* table : runnable_kernels()) {
    const std::string isa = table->isa;
    group.push_back({section, "multiply-add, " + isa, "GFLOP/s", multiply_add(isa)});
    if (auto products = byte_products(isa)) {
      group.push_back({section, "byte products, " + isa, "GOP/s", std::move(products)});
    }
  }
  return group;
}

}  // namespace lichen::bench
