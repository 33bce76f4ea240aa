#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/targets.hpp"
#include "fuzz/workplace.hpp"
#include "test/options.hpp"

namespace lichen::fuzz {
namespace {

class Writer {
 public:
  explicit Writer(char mode) : bytes_{mode} {}
  template <class T>
  void put(T value) {
    const char* const at = reinterpret_cast<const char*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof value);
  }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// As hnswlib would write it: a ring of rows, every third one on level 1 as well.
Bytes ring(std::uint32_t rows, std::uint32_t dim, std::uint32_t m) {
  Writer out(static_cast<char>(dim - 1));
  const std::uint32_t max_m0 = 2 * m;
  const std::uint64_t vector_offset = 4 + 4 * std::uint64_t{max_m0};
  const std::uint64_t label_offset = vector_offset + 4 * std::uint64_t{dim};
  for (const std::uint64_t field : {std::uint64_t{0}, std::uint64_t{rows} + 2, std::uint64_t{rows},
                                    label_offset + 8, label_offset, vector_offset}) {
    out.put(field);
  }
  out.put(std::int32_t{rows > 0 ? 1 : -1});
  out.put(rows > 0 ? std::uint32_t{0} : 0xFFFFFFFFu);
  for (const std::uint64_t field : {m, max_m0, m}) out.put(field);
  out.put(1.0 / std::log(static_cast<double>(m)));
  out.put(std::uint64_t{40});
  for (std::uint32_t row = 0; row < rows; ++row) {
    out.put(std::uint32_t{2} | (row % 5 == 4 ? 1u << 16 : 0u));
    for (std::uint32_t slot = 0; slot < max_m0; ++slot) {
      out.put(slot == 0 ? (row + 1) % rows : slot == 1 ? (row + rows - 1) % rows : 0u);
    }
    for (std::uint32_t d = 0; d < dim; ++d) out.put(std::sin(static_cast<float>(row * dim + d)));
    out.put(std::uint64_t{3} * row);
  }
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (row % 3 != 0) {
      out.put(std::uint32_t{0});
      continue;
    }
    out.put(4 * (1 + m));
    out.put(std::uint32_t{1});
    for (std::uint32_t slot = 0; slot < m; ++slot) out.put(row + 3 < rows ? row + 3 : 0u);
  }
  return out.take();
}

}  // namespace

void hnswlib_target(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return;
  const std::size_t dim = 1 + data[0] % 16;
  const std::string path = workplace().file("input.hnsw");
  test::write_file(path, bytes_of(data + 1, size - 1));
  const Metric metric = test::kMetrics[data[0] / 16 % 3];
  const StorageType type = data[0] >= 128 ? StorageType::kI8 : StorageType::kF32;
  expect_own_errors([&] {
    Progress progress;
    const std::unique_ptr<VectorIndex> index =
        HnswIndex::from_hnswlib(path, test::flat(dim, metric, type), std::nullopt, 1, progress);
    use(*index);
  });
}

std::vector<Bytes> hnswlib_seeds() {
  return {ring(0, 3, 2), ring(1, 1, 4), ring(5, 3, 2), ring(20, 8, 3), ring(40, 2, 5)};
}

}  // namespace lichen::fuzz
