#include "index/live_store.hpp"

#include <cmath>
#include <string>

#include "index/query_batch.hpp"
#include "index/scan.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// How many standard deviations the bounds of i4 and b1 span: all but 1 of 370 errors.
constexpr double kDeviations = 3.0;

}  // namespace

void LiveStore::require_row(std::size_t row) const {
  if (row < rows()) return;
  throw Error(Code::kUnknownKey, "row " + std::to_string(row) + " is not there; the store has " +
                                     std::to_string(rows()) + " rows");
}

void LiveStore::set_live(std::size_t row, bool live) {
  const auto bit = static_cast<std::uint8_t>(1u << (row % 8));
  if (live) {
    live_[row / 8] |= bit;
  } else {
    live_[row / 8] &= static_cast<std::uint8_t>(~bit);
  }
}

void LiveStore::train(const float* vectors, std::size_t count) {
  if (rows() > 0) {
    throw Error(Code::kArgument,
                "train must come before the first vector: what is stored would "
                "mean something else afterwards");
  }
  require_finite(vectors, count, store_.dim(), "vectors");
  std::unique_ptr<Codec> codec = store_.trained_codec(vectors, count);
  if (!is_float(store_.type()) && codec->learned().empty()) {
    throw Error(Code::kArgument, "train needs at least " + std::to_string(kLeastForMean) +
                                     " vectors, got " + std::to_string(count));
  }
  store_.adopt_codec(std::move(codec));
  store_.set_trained();
}

std::size_t LiveStore::append(const float* vectors, std::size_t count) {
  require_finite(vectors, count, store_.dim(), "vectors");
  const std::size_t first = rows();
  live_.resize((first + count + 7) / 8, 0);
  store_.append(vectors, count);
  for (std::size_t row = first; row < first + count; ++row) set_live(row, true);
  return first;
}

void LiveStore::overwrite(std::size_t row, const float* vector) {
  require_row(row);
  require_finite(vector, 1, store_.dim(), "vector");
  store_.overwrite(row, vector);
  if (!is_live(row)) --deleted_;
  set_live(row, true);
}

bool LiveStore::remove(std::size_t row) {
  if (!is_live(row)) return false;
  set_live(row, false);
  ++deleted_;
  return true;
}

std::size_t LiveStore::scan(const float* query, std::size_t k, const RowFilter* filter,
                            Hit* hits) const {
  thread_local QueryBatch prepared;
  require_finite(query, 1, store_.dim(), "query");
  if (rows() == 0) return 0;
  prepared.prepare(store_, query, 1);
  std::vector<TopK> best;
  best.emplace_back(hits, k);
  if (deleted_ == 0) {
    lichen::scan(store_, prepared, filter, 0, rows(), best);
  } else {
    std::vector<std::uint8_t> wanted = live_;
    for (std::size_t i = 0; filter != nullptr && i < wanted.size(); ++i) {
      wanted[i] &= filter->byte(i);
    }
    const RowFilter both(wanted.data(), wanted.size());
    lichen::scan(store_, prepared, &both, 0, rows(), best);
  }
  return best[0].finish();
}

void LiveStore::distances(const float* query, const std::uint32_t* rows, std::size_t count,
                          float* out, float* bounds) const {
  thread_local QueryBatch prepared;
  require_finite(query, 1, store_.dim(), "query");
  for (std::size_t i = 0; i < count; ++i) require_row(rows[i]);
  prepared.prepare(store_, query, 1);
  store_.distances(prepared[0], rows, count, out);
  if (bounds == nullptr) return;
  const std::vector<float>& learned = store_.codec().learned();
  const bool l2 = store_.metric() == Metric::kL2;
  const bool centred = l2 && learned.size() == store_.dim() && store_.type() != StorageType::kPq;
  double square = 0.0;
  for (std::size_t d = 0; d < store_.dim(); ++d) {
    const double value = static_cast<double>(query[d]) - (centred ? learned[d] : 0.0f);
    square += value * value;
  }
  double norm = std::sqrt(square);
  if (store_.metric() == Metric::kCosine && norm > 0.0) norm = 1.0;
  for (std::size_t i = 0; i < count; ++i) {
    bounds[i] =
        static_cast<float>((l2 ? 2.0 : 1.0) * store_.error_bound(rows[i], norm, kDeviations));
  }
}

LiveStore LiveStore::converted(const CodecOptions& options) const {
  LiveStore other(options);
  std::vector<float> vectors(rows() * store_.dim());
  for (std::size_t row = 0; row < rows(); ++row) {
    store_.decode(row, vectors.data() + row * store_.dim());
  }
  if (rows() > 0) other.append(vectors.data(), rows());
  other.live_ = live_;
  other.deleted_ = deleted_;
  return other;
}

}  // namespace lichen
