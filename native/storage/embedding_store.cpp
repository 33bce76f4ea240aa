#include "storage/embedding_store.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "codecs/kernels_of.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

bool all_finite(const float* values, std::size_t count) {
  // An exponent of all ones is NaN or infinity. Integer arithmetic, so that the loop vectorizes.
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= static_cast<std::uint32_t>((bits & 0x7F800000u) == 0x7F800000u);
  }
  return bad == 0;
}

CodecOptions checked(const CodecOptions& options) {
  if (options.dim == 0 || options.dim > kMaxDim) {
    throw Error(Code::kArgument, "dim must be an integer from 1 to " + std::to_string(kMaxDim) +
                                     ", got " + std::to_string(options.dim));
  }
  return options;
}

}  // namespace

void require_finite(const float* vectors, std::size_t count, std::size_t dim, const char* what) {
  if (all_finite(vectors, count * dim)) return;
  for (std::size_t i = 0; i < count * dim; ++i) {
    if (std::isfinite(vectors[i])) continue;
    std::string where = " at position " + std::to_string(i % dim);
    if (count > 1) where += " of row " + std::to_string(i / dim);
    throw Error(Code::kNotFinite, std::string(what) + " has the value " +
                                      (std::isnan(vectors[i]) ? "NaN" : "Infinity") + where +
                                      "; every value must be finite");
  }
}

EmbeddingStore::EmbeddingStore(const CodecOptions& options)
    : codec_(Codec::make(checked(options))) {}

std::size_t EmbeddingStore::bytes() const {
  return codes_.bytes() + scales_.bytes() + offsets_.bytes() + squares_.bytes() + of_rows_.bytes();
}

std::unique_ptr<Codec> EmbeddingStore::trained_codec(const float* vectors,
                                                     std::size_t count) const {
  std::unique_ptr<Codec> codec = Codec::make(codec_->options());
  if (is_float(type()) || (!codec->must_train() && count < kLeastForMean)) return codec;
  if (metric() != Metric::kCosine) {
    codec->train(vectors, count);
    return codec;
  }
  std::vector<float> unit(count * dim());
  for (std::size_t i = 0; i < count; ++i) {
    float* const into = unit.data() + i * dim();
    const float* const from = vectors + i * dim();
    if (normalized(from, into) == from) std::memcpy(into, from, dim() * sizeof(float));
  }
  codec->train(unit.data(), count);
  return codec;
}

void EmbeddingStore::reserve(std::size_t rows) {
  if (rows > kMaxRows) {
    throw Error(Code::kUnsupported, "an index holds at most " + std::to_string(kMaxRows) + " rows");
  }
  // As large as their contents at once: sizes say what is reserved, rows_ what counts.
  if (code_bytes(rows) <= codes_.size()) return;
  codes_.resize(code_bytes(rows), 0);
  resize_factors(rows);
}

void EmbeddingStore::keep_factors_together() {
  const std::size_t factors = codec_->has_scale() + codec_->has_offset() + codec_->has_square();
  factors_a_row_ = factors == 0 ? 0 : factors <= 2 ? 2 : 4;
}

std::size_t EmbeddingStore::room() const {
  std::size_t rows = codes_.capacity() / row_bytes();
  if (codec_->has_scale()) rows = std::min(rows, scales_.capacity());
  if (codec_->has_offset()) rows = std::min(rows, offsets_.capacity());
  if (codec_->has_square()) rows = std::min(rows, squares_.capacity());
  if (factors_a_row_ > 0) rows = std::min(rows, of_rows_.capacity() / factors_a_row_);
  return type() == StorageType::kPq ? rows / kPqBlockRows * kPqBlockRows : rows;
}

EmbeddingStore EmbeddingStore::none_of_it() const {
  EmbeddingStore other(codec_);
  other.trained_ = trained_;
  other.factors_a_row_ = factors_a_row_;
  return other;
}

EmbeddingStore EmbeddingStore::grown(std::size_t rows) const {
  EmbeddingStore copy = none_of_it();
  copy.rows_ = rows_;
  copy.codes_ = codes_.grown(code_bytes(rows));
  if (codec_->has_scale()) copy.scales_ = scales_.grown(rows);
  if (codec_->has_offset()) copy.offsets_ = offsets_.grown(rows);
  if (codec_->has_square()) copy.squares_ = squares_.grown(rows);
  if (factors_a_row_ > 0) copy.of_rows_ = of_rows_.grown(factors_a_row_ * rows);
  copy.reserve(rows);
  return copy;
}

void EmbeddingStore::resize_factors(std::size_t rows) {
  if (codec_->has_scale()) scales_.resize(rows, 0.0f);
  if (codec_->has_offset()) offsets_.resize(rows, 0.0f);
  if (codec_->has_square()) squares_.resize(rows, 0.0f);
  if (factors_a_row_ > 0) of_rows_.resize(factors_a_row_ * rows, 0.0f);
}

const float* EmbeddingStore::normalized(const float* vector, float* buffer) const {
  if (metric() != Metric::kCosine) return vector;
  double squares = 0.0;
  for (std::size_t d = 0; d < dim(); ++d) squares += static_cast<double>(vector[d]) * vector[d];
  // The zero vector has no direction: it scores 0 against everything.
  const double scale = squares == 0.0 ? 0.0 : 1.0 / std::sqrt(squares);
  for (std::size_t d = 0; d < dim(); ++d) buffer[d] = static_cast<float>(vector[d] * scale);
  return buffer;
}

std::size_t EmbeddingStore::code_bytes(std::size_t rows) const {
  if (type() != StorageType::kPq) return rows * row_bytes();
  return round_up(rows, kPqBlockRows) * row_bytes();
}

void EmbeddingStore::place_code(std::size_t r, const std::uint8_t* code) {
  if (type() != StorageType::kPq) {
    std::memcpy(codes_.data() + r * row_bytes(), code, row_bytes());
    return;
  }
  std::uint8_t* const start = codes_.data() + pq_start(r);
  for (std::size_t p = 0; p < row_bytes(); ++p) start[p * kPqBlockRows] = code[p];
}

void EmbeddingStore::set_factors(std::size_t r, const RowFactors& factors) {
  if (codec_->has_scale()) scales_[r] = factors.scale;
  if (codec_->has_offset()) offsets_[r] = factors.offset;
  if (codec_->has_square()) squares_[r] = factors.square;
  if (factors_a_row_ == 0) return;
  float* of_row = of_rows_.data() + factors_a_row_ * r;
  if (codec_->has_scale()) *of_row++ = factors.scale;
  if (codec_->has_offset()) *of_row++ = factors.offset;
  if (codec_->has_square()) *of_row++ = factors.square;
}

void EmbeddingStore::encode(const float* vectors, std::size_t from, std::size_t to) {
  std::vector<float> unit(dim());
  std::vector<std::uint8_t> code(row_bytes());
  RowFactors factors;
  for (std::size_t i = from; i < to; ++i) {
    codec_->encode(normalized(vectors + i * dim(), unit.data()), code.data(), factors);
    place_code(rows_ + i, code.data());
    set_factors(rows_ + i, factors);
  }
}

void EmbeddingStore::append(const float* vectors, std::size_t count) {
  const bool training = wants_training();
  std::shared_ptr<Codec> before;
  if (training) {
    std::unique_ptr<Codec> codec = trained_codec(vectors, count);
    before = std::move(codec_);
    codec_ = std::move(codec);
  }
  try {
    reserve(rows_ + count);
    encode(vectors, 0, count);
  } catch (...) {
    if (training) codec_ = std::move(before);
    truncate(rows_);
    throw;
  }
  trained_ = true;
  rows_ += count;
}

void EmbeddingStore::overwrite(std::size_t row, const float* vector) {
  // Encoded aside first: a vector that is refused must leave the row as it is.
  std::vector<float> unit(dim());
  std::vector<std::uint8_t> code(row_bytes());
  RowFactors factors;
  codec_->encode(normalized(vector, unit.data()), code.data(), factors);
  place_code(row, code.data());
  set_factors(row, factors);
}

void EmbeddingStore::copy_rows(const EmbeddingStore& from, const std::uint32_t* rows,
                               std::size_t count) {
  std::vector<std::uint8_t> gathered;
  for (std::size_t i = 0; i < count; ++i) {
    place_code(rows_ + i, from.code_of(rows[i], gathered));
    set_factors(rows_ + i, from.factors(rows[i]));
  }
  rows_ += count;
}

void EmbeddingStore::forget_training() {
  codec_ = Codec::make(codec_->options());
  trained_ = false;
}

void EmbeddingStore::truncate(std::size_t rows) {
  rows_ = rows;
  codes_.resize(code_bytes(rows), 0);
  if (type() == StorageType::kPq) {
    const std::vector<std::uint8_t> zeros(row_bytes(), 0);
    for (std::size_t r = rows; r % kPqBlockRows != 0; ++r) place_code(r, zeros.data());
  }
  resize_factors(rows);
}

RowFactors EmbeddingStore::factors(std::size_t r) const {
  RowFactors factors;
  if (codec_->has_scale()) factors.scale = scales_[r];
  if (codec_->has_offset()) factors.offset = offsets_[r];
  if (codec_->has_square()) factors.square = squares_[r];
  return factors;
}

const std::uint8_t* EmbeddingStore::code_of(std::size_t r,
                                            std::vector<std::uint8_t>& gathered) const {
  if (type() != StorageType::kPq) return codes_.data() + r * row_bytes();
  gathered.resize(row_bytes());
  const std::uint8_t* const start = codes_.data() + pq_start(r);
  for (std::size_t p = 0; p < row_bytes(); ++p) gathered[p] = start[p * kPqBlockRows];
  return gathered.data();
}

void EmbeddingStore::decode(std::size_t r, float* vector) const {
  std::vector<std::uint8_t> gathered;
  codec_->decode(code_of(r, gathered), factors(r), vector);
  // Who scores by it counts on that, and a file that is mapped has not been looked at.
  std::replace_if(
      vector, vector + dim(), [](float value) { return !std::isfinite(value); }, 0.0f);
}

double EmbeddingStore::error_bound(std::size_t r, double query_norm, double deviations) const {
  if (type() == StorageType::kPq) return std::nan("");  // its codes do not lie in one piece
  return codec_->error_bound(codes_.data() + r * row_bytes(), factors(r), query_norm, deviations);
}

StorageErrors EmbeddingStore::errors(const float* vectors, std::size_t first,
                                     std::size_t count) const {
  StorageErrors errors;
  std::vector<float> unit(dim());
  std::vector<float> decoded(dim());
  std::size_t counted = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float* given = normalized(vectors + i * dim(), unit.data());
    decode(first + i, decoded.data());
    double square = 0.0;
    double decoded_square = 0.0;
    double error_square = 0.0;
    for (std::size_t d = 0; d < dim(); ++d) {
      const double difference = static_cast<double>(decoded[d]) - given[d];
      square += static_cast<double>(given[d]) * given[d];
      decoded_square += static_cast<double>(decoded[d]) * decoded[d];
      error_square += difference * difference;
    }
    if (square == 0.0) continue;  // nothing to be relative to
    const double norm = std::sqrt(square);
    const double relative = std::sqrt(error_square) / norm;
    const double of_norm = std::abs(std::sqrt(decoded_square) - norm) / norm;
    errors.mean_relative += relative;
    errors.mean_norm += of_norm;
    errors.worst_relative = std::max(errors.worst_relative, relative);
    errors.worst_norm = std::max(errors.worst_norm, of_norm);
    ++counted;
  }
  if (counted > 0) {
    errors.mean_relative /= static_cast<double>(counted);
    errors.mean_norm /= static_cast<double>(counted);
  }
  return errors;
}

// The unit query of the cosine metric comes before what the codec makes of it.
std::size_t EmbeddingStore::unit_query_bytes() const {
  return metric() == Metric::kCosine ? round_up(dim() * sizeof(float), kCacheLine) : 0;
}

std::size_t EmbeddingStore::prepared_bytes() const {
  return unit_query_bytes() + round_up(codec_->prepared_bytes(), kCacheLine);
}

PreparedQuery EmbeddingStore::prepare(const float* query, std::uint8_t* buffer) const {
  return codec_->prepare(normalized(query, reinterpret_cast<float*>(buffer)),
                         buffer + unit_query_bytes());
}

PreparedQuery EmbeddingStore::prepare_row(std::size_t r, float* vector,
                                          std::uint8_t* buffer) const {
  std::vector<std::uint8_t> gathered;
  return codec_->prepare_code(code_of(r, gathered), factors(r), vector, buffer);
}

CodeRows EmbeddingStore::code_rows() const {
  return {codes_.data(),
          row_bytes(),
          scales_.data(),
          codec_->has_offset() ? offsets_.data() : nullptr,
          codec_->adds_square() ? squares_.data() : nullptr,
          far()};
}

void EmbeddingStore::distances(const PreparedQuery& query, std::size_t first, std::size_t count,
                               float* out) const {
  const Kernels& table = kernels();
  if (is_float(type())) {
    const FloatKernels& of_type = float_kernels(table, type());
    const bool l2 = metric() == Metric::kL2;
    (l2 ? of_type.l2_rows : of_type.dot_rows)(query.values, codes_.data() + first * row_bytes(),
                                              row_bytes(), count, padded_dim(), out);
  } else if (type() != StorageType::kPq) {
    code_kernels(table, type()).rows(query.code, code_rows(), first, count, out);
  } else {
    const std::size_t whole = count / kPqBlockRows;
    const std::uint8_t* blocks = codes_.data() + first * row_bytes();
    table.pq_blocks(query.table, 2 * row_bytes(), query.base, query.scale, blocks, whole, out);
    const std::size_t rest = count % kPqBlockRows;
    if (rest == 0) return;
    float last[kPqBlockRows];
    table.pq_blocks(query.table, 2 * row_bytes(), query.base, query.scale,
                    blocks + whole * kPqBlockRows * row_bytes(), 1, last);
    std::copy(last, last + rest, out + whole * kPqBlockRows);
  }
}

void EmbeddingStore::distances(const PreparedQuery& query, const std::uint32_t* ids,
                               std::size_t count, float* out, bool asked_for) const {
  const Kernels& table = kernels();
  if (is_float(type())) {
    const FloatKernels& of_type = float_kernels(table, type());
    const bool l2 = metric() == Metric::kL2;
    (l2 ? of_type.l2_gather : of_type.dot_gather)(query.values, codes_.data(), row_bytes(), ids,
                                                  count, padded_dim(), out);
  } else if (type() != StorageType::kPq) {
    CodeRows all = code_rows();
    all.asked_for = asked_for && row_bytes() <= kMostPrefetched;
    if (factors_a_row_ > 0) {
      const float* factor = of_rows_.data();
      for (const float** const array : {&all.scales, &all.offsets, &all.squares}) {
        if (*array != nullptr) *array = factor++;
      }
      all.factor_stride = factors_a_row_;
    }
    code_kernels(table, type()).gather(query.code, all, ids, count, out);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* code = codes_.data() + pq_start(ids[i]);
      std::uint32_t sum = 0;
      for (std::size_t p = 0; p < row_bytes(); ++p, code += kPqBlockRows) {
        const std::uint8_t* entries = query.table + 2 * p * kPqCentroids;
        sum += entries[*code & 15] + entries[kPqCentroids + (*code >> 4)];
      }
      // As the kernel of whole blocks, in the same order of operations.
      out[i] = query.scale * static_cast<float>(sum) + query.base;
    }
  }
}

void EmbeddingStore::adopt(Image image) {
  const std::size_t rows = image.rows;
  if (!image.learned.empty()) codec_->restore(std::move(image.learned));
  if (codec_->must_train() && !codec_->trained() && rows > 0) {
    throw Error(Code::kFormat, "it has codes but not what they stand for");
  }
  if (image.checks) {
    for (const AlignedBuffer<float>* factors : {&image.scales, &image.offsets, &image.squares}) {
      if (!all_finite(factors->data(), factors->size())) {
        throw Error(Code::kFormat, "a factor of a row is not finite");
      }
    }
  }
  codes_ = std::move(image.codes);
  scales_ = std::move(image.scales);
  offsets_ = std::move(image.offsets);
  squares_ = std::move(image.squares);
  rows_ = rows;
  trained_ = rows > 0 || !codec_->learned().empty();
  if (factors_a_row_ == 0) return;
  if (image.together.size() == 0 || image.checks) {
    of_rows_.resize(factors_a_row_ * rows, 0.0f);
    for (std::size_t r = 0; r < rows; ++r) set_factors(r, factors(r));
    const std::size_t bytes = image.together.size() * sizeof(float);
    if (bytes > 0 && std::memcmp(of_rows_.data(), image.together.data(), bytes) != 0) {
      throw Error(Code::kFormat, "the factors of a row are not those that stand beside");
    }
  }
  if (image.together.size() > 0) of_rows_ = std::move(image.together);
}

}  // namespace lichen
