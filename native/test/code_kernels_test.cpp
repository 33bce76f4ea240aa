// The kernels on integer codes: sums are exact, so every instruction set and every way to name rows
// must agree with 64-bit integers.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "kernels/kernels.hpp"
#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen {
namespace {

enum class CodeType { kI8, kI4, kB1 };

std::size_t codes_a_byte(CodeType code) {
  return code == CodeType::kI8 ? 1 : code == CodeType::kI4 ? 2 : 8;
}

std::uint8_t byte_of(std::uint64_t seed, std::size_t n, bool extreme) {
  const std::uint64_t random = splitmix64(seed, n);
  if (extreme) return random & 1 ? 255 : 0;
  return static_cast<std::uint8_t>(random);
}

// Rows, factors and queries of one type, as long as needed and no longer.
struct Input {
  Input(CodeType code, std::uint64_t seed, std::size_t row_bytes, std::size_t count,
        std::size_t queries_count, bool extreme)
      : code(code), count(count), row_bytes(row_bytes), codes(row_bytes * count) {
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = byte_of(seed, i, extreme);
    for (std::size_t i = 0; i < count; ++i) {
      scales.push_back(0.5f + 0.4f * static_cast<float>(test::uniform(seed + 1, i)));
      offsets.push_back(static_cast<float>(test::uniform(seed + 2, i)));
      squares.push_back(3.0f + static_cast<float>(test::uniform(seed + 3, i)));
    }
    const std::size_t values = row_bytes * codes_a_byte(code);
    const int most = code == CodeType::kB1 ? 7 : 127;
    for (std::size_t q = 0; q < queries_count; ++q) {
      std::vector<std::int8_t>& query = bytes.emplace_back(values);
      for (std::size_t v = 0; v < values; ++v) {
        const double u = extreme ? (splitmix64(seed + 4 + q, v) & 1 ? 1.0 : -1.0)
                                 : test::uniform(seed + 4 + q, v);
        query[v] = static_cast<std::int8_t>(std::lround(u * most));
      }
      make_planes(query);
    }
    for (std::size_t q = 0; q < queries_count; ++q) {
      CodeQuery query;
      query.bytes = bytes[q].data();
      query.planes = planes[q].data();
      query.base = 0.25f * static_cast<float>(q);
      query.per_sum = -0.01f;
      query.per_row = 0.125f;
      query.per_offset = 1.5f;
      queries.push_back(query);
    }
  }

  void make_planes(const std::vector<std::int8_t>& query) {
    const std::size_t words = row_bytes / 8;
    const std::size_t step = std::max<std::size_t>(8, words);
    std::vector<std::uint64_t>& bits = planes.emplace_back(kCodePlanes * step);
    if (code != CodeType::kB1) return;
    for (std::size_t p = 0; p < kCodePlanes; ++p) {
      for (std::size_t w = 0; w < step; ++w) {
        for (std::size_t b = 0; b < 64; ++b) {
          const auto value = static_cast<std::uint8_t>(query[(w % words) * 64 + b]);
          bits[p * step + w] |= static_cast<std::uint64_t>(value >> p & 1) << b;
        }
      }
    }
  }

  int code_at(std::size_t row, std::size_t value) const {
    const std::uint8_t* r = codes.data() + row * row_bytes;
    if (code == CodeType::kI8) return r[value];
    if (code == CodeType::kB1) return r[value / 8] >> (value % 8) & 1;
    return value < row_bytes ? r[value] & 15 : r[value - row_bytes] >> 4;
  }

  std::int64_t sum(std::size_t query, std::size_t row) const {
    std::int64_t total = 0;
    for (std::size_t v = 0; v < bytes[query].size(); ++v) {
      total += code_at(row, v) * bytes[query][v];
    }
    return total;
  }

  CodeRows rows(bool with_offsets, bool with_squares) const {
    return {codes.data(), row_bytes, scales.data(), with_offsets ? offsets.data() : nullptr,
            with_squares ? squares.data() : nullptr};
  }

  CodeType code;
  std::size_t count;
  std::size_t row_bytes;
  std::vector<std::uint8_t> codes;
  std::vector<float> scales, offsets, squares;
  std::vector<std::vector<std::int8_t>> bytes;
  std::vector<std::vector<std::uint64_t>> planes;
  std::vector<CodeQuery> queries;
};

const CodeKernels& kernels_of(const Kernels& table, CodeType code) {
  return code == CodeType::kI8 ? table.i8 : code == CodeType::kI4 ? table.i4 : table.b1;
}

void check_input(const Kernels& table, const Input& input) {
  const std::size_t count = input.count;
  std::vector<std::uint32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  for (const bool with_offsets : {false, true}) {
    for (const bool with_squares : {false, true}) {
      const CodeRows rows = input.rows(with_offsets, with_squares);
      const CodeQuery& query = input.queries[0];
      std::vector<float> out(count + 1, -77.0f);
      kernels_of(table, input.code).rows(query, rows, 0, count, out.data());
      CHECK(out[count] == -77.0f);
      for (std::size_t i = 0; i < count; ++i) {
        const double inner =
            double{query.per_sum} * static_cast<double>(input.sum(0, i)) + query.per_row;
        const double expected = double{query.base} + (with_squares ? input.squares[i] : 0.0f) +
                                double{input.scales[i]} * inner +
                                (with_offsets ? double{input.offsets[i]} * query.per_offset : 0.0);
        const double bound = 8 * 0x1p-24 * (8.0 + std::abs(input.scales[i] * inner));
        if (std::abs(out[i] - expected) > bound) {
          test::fail(__FILE__, __LINE__,
                     std::string(table.isa) + " row bytes " + std::to_string(input.row_bytes) +
                         " row " + std::to_string(i) + ": got " + std::to_string(out[i]) +
                         ", expected " + std::to_string(expected));
        }
      }
      if (count > 3) {
        std::vector<float> later(count);
        kernels_of(table, input.code).rows(query, rows, 3, count - 3, later.data());
        for (std::size_t i = 3; i < count; ++i) CHECK(later[i - 3] == out[i]);
      }
      std::vector<float> gathered(count + 1, -77.0f);
      kernels_of(table, input.code).gather(query, rows, ids.data(), count, gathered.data());
      for (std::size_t i = 0; i < count; ++i) CHECK(gathered[i] == out[ids[i]]);
      CHECK(gathered[count] == -77.0f);
      // Factors of a row side by side.
      std::vector<float> together;
      for (std::size_t i = 0; i < count; ++i) {
        for (const float factor : {input.scales[i], input.offsets[i], input.squares[i], 9.0f}) {
          together.push_back(factor);
        }
      }
      CodeRows strided = rows;
      strided.factor_stride = 4;
      strided.far = with_offsets;
      strided.scales = together.data();
      if (with_offsets) strided.offsets = together.data() + 1;
      if (with_squares) strided.squares = together.data() + 2;
      std::vector<float> again(count);
      kernels_of(table, input.code).gather(query, strided, ids.data(), count, again.data());
      CHECK(std::equal(again.begin(), again.end(), gathered.begin()));
    }
  }
}

// A tile's hits are the rows of the other kernels that are not above the limit, bit for bit.
void check_tile(const Kernels& table, const Input& input) {
  const std::size_t codes = input.row_bytes * codes_a_byte(input.code);
  const std::size_t tile = table.tile_rows;
  std::vector<std::uint32_t> packed((codes + 63) / 64 * 16 * tile, 0xABABABAB);
  kernels_of(table, input.code)
      .pack(input.codes.data(), input.row_bytes, input.count, packed.data());
  const auto padded = [&](const std::vector<float>& factors) {
    std::vector<float> values = factors;
    values.resize(tile, 0.0f);
    return values;
  };
  const std::vector<float> scales = padded(input.scales);
  const std::vector<float> offsets = padded(input.offsets);
  const std::vector<float> squares = padded(input.squares);
  for (const bool with_factors : {false, true}) {
    const CodeRows rows = input.rows(with_factors, with_factors);
    std::vector<std::vector<float>> expected;
    std::vector<float> limits;
    for (const CodeQuery& query : input.queries) {
      std::vector<float>& out = expected.emplace_back(input.count);
      kernels_of(table, input.code).rows(query, rows, 0, input.count, out.data());
      limits.push_back(out[input.count / 2]);
    }
    std::vector<TileHit> hits(input.queries.size() * tile);
    const std::size_t found = table.code_tile(
        input.queries.data(), input.queries.size(), packed.data(), codes / 4, scales.data(),
        with_factors ? offsets.data() : nullptr, with_factors ? squares.data() : nullptr,
        limits.data(), input.codes.data(), input.codes.size(), hits.data());
    std::vector<std::vector<bool>> seen(input.queries.size(), std::vector<bool>(input.count));
    for (std::size_t h = 0; h < found; ++h) {
      if (hits[h].row >= input.count) continue;
      CHECK(hits[h].distance == expected[hits[h].query][hits[h].row]);
      seen[hits[h].query][hits[h].row] = true;
    }
    for (std::size_t q = 0; q < input.queries.size(); ++q) {
      for (std::size_t i = 0; i < input.count; ++i) {
        CHECK(seen[q][i] == !(expected[q][i] > limits[q]));
      }
    }
  }
}

}  // namespace

TEST_CASE("kernels: sums of codes are exact, for every length of row") {
  for (const Kernels* table : runnable_kernels()) {
    for (const CodeType code : {CodeType::kI8, CodeType::kI4, CodeType::kB1}) {
      for (const std::size_t row_bytes : {8, 16, 32, 64, 128, 192, 320, 512, 768, 1024, 4096}) {
        if (row_bytes == 8 && code != CodeType::kB1) continue;
        for (const bool extreme : {false, true}) {
          check_input(*table, Input(code, row_bytes, row_bytes, 19, 1, extreme));
        }
      }
      for (std::size_t count = 1; count <= 17; ++count) {
        for (const std::size_t row_bytes : {16, 64}) {
          check_input(*table, Input(code, count, row_bytes, count, 1, false));
        }
      }
    }
  }
}

TEST_CASE("kernels: tiles of codes give the same distances") {
  for (const Kernels* table : runnable_kernels()) {
    for (const CodeType code : {CodeType::kI8, CodeType::kI4, CodeType::kB1}) {
      for (const std::size_t row_bytes : {8, 16, 32, 64, 192, 1024}) {
        if (row_bytes == 8 && code != CodeType::kB1) continue;
        for (const std::size_t queries : {1, 3, 6, 11}) {
          const std::size_t rows = queries == 3 ? table->tile_rows : table->tile_rows / 2 + 1;
          check_tile(*table, Input(code, row_bytes + queries, row_bytes, rows, queries, false));
          check_tile(*table, Input(code, row_bytes + queries, row_bytes, rows, queries, true));
        }
      }
    }
  }
}

TEST_CASE("kernels: pq adds table entries of whole blocks") {
  for (const Kernels* table : runnable_kernels()) {
    for (const std::size_t subspaces : {1, 2, 3, 16, 33, 64, 255, 256, 257, 600, 2048}) {
      for (const bool extreme : {false, true}) {
        const std::size_t pairs = (subspaces + 1) / 2;
        const std::size_t blocks = 3;
        std::vector<std::uint8_t> entries(pairs * 2 * kPqCentroids);
        for (std::size_t i = 0; i < subspaces * kPqCentroids; ++i) {
          entries[i] = extreme ? 255 : byte_of(subspaces, i, false);
        }
        std::vector<std::uint8_t> codes(blocks * pairs * kPqBlockRows);
        for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = byte_of(7, i, extreme);
        std::vector<float> out(blocks * kPqBlockRows + 1, -77.0f);
        table->pq_blocks(entries.data(), subspaces, 2.0f, 0.5f, codes.data(), blocks, out.data());
        CHECK(out.back() == -77.0f);
        for (std::size_t row = 0; row < blocks * kPqBlockRows; ++row) {
          const std::uint8_t* block =
              codes.data() + row / kPqBlockRows * pairs * kPqBlockRows + row % kPqBlockRows;
          std::int64_t sum = 0;
          for (std::size_t s = 0; s < 2 * pairs; ++s) {
            const std::uint8_t both = block[s / 2 * kPqBlockRows];
            sum += entries[s * kPqCentroids + (s % 2 == 0 ? both & 15 : both >> 4)];
          }
          CHECK(out[row] == 2.0f + 0.5f * static_cast<float>(sum));
        }
      }
    }
  }
}

}  // namespace lichen
