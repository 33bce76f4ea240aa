#pragma once
// EmbeddingStore: vectors kept in one storage type. A row's code starts on a cache line, or, if it
// is shorter than half a line, where it does not cross one; factors (scale, offset, square) have
// arrays of their own, so that a scan reads them as vectors. Codes of pq lie interleaved, 64 rows
// to a block. For the cosine metric vectors are normalized as they come.
//
// Not synchronized: who owns it says who may write while others read. Rows are written in two
// steps, so that the long one needs no lock: encode writes behind rows(), publish makes it count.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "codecs/codec.hpp"
#include "runtime/aligned.hpp"

namespace lichen {

inline constexpr std::size_t kMaxDim = 65536;
// Row numbers are 32 bits with the highest one kept as "no row".
inline constexpr std::uint32_t kNoRow = 0xFFFFFFFFu;
inline constexpr std::size_t kMaxRows = 0x7FFFFFFFu;
// A mean of fewer vectors says more about them than about those to come.
inline constexpr std::size_t kLeastForMean = 64;

// How far decoded vectors are from the given ones.
struct StorageErrors {
  double mean_relative = 0.0;  // of |decoded − given| / |given|
  double worst_relative = 0.0;
  double mean_norm = 0.0;  // of ||decoded| − |given|| / |given|
  double worst_norm = 0.0;
};

class EmbeddingStore {
 public:
  // Throws Error(kArgument) for options out of range.
  explicit EmbeddingStore(const CodecOptions& options);
  // No rows, but the codec of another store: queries prepared for one are prepared for both.
  explicit EmbeddingStore(std::shared_ptr<Codec> codec)
      : codec_(std::move(codec)), trained_(codec_->trained()) {}
  const std::shared_ptr<Codec>& shared_codec() const { return codec_; }

  std::size_t dim() const { return codec_->dim(); }
  Metric metric() const { return codec_->options().metric; }
  StorageType type() const { return codec_->type(); }
  const Codec& codec() const { return *codec_; }
  std::size_t rows() const { return rows_; }
  std::size_t bytes() const;  // of memory
  std::size_t row_bytes() const { return codec_->row_bytes(); }

  // Keeps the factors of each row once more in one place, so that scoring a row by its number meets
  // one cache line of them; to be called while there are no rows.
  void keep_factors_together();
  // How many places a row has for them: 2, or 4 of which one is not used, so that no row lies in
  // two lines; 0 if they are not kept together.
  std::size_t factors_a_row() const { return factors_a_row_; }

  // A codec trained on the vectors, to be handed to adopt_codec while there are no rows. The mean
  // is taken from enough vectors only (a few would drag it to themselves).
  std::unique_ptr<Codec> trained_codec(const float* vectors, std::size_t count) const;
  void adopt_codec(std::unique_ptr<Codec> codec) { codec_ = std::move(codec); }
  bool wants_training() const { return rows_ == 0 && !trained_; }
  void set_trained() { trained_ = true; }
  // As made; while there are no rows.
  void forget_training();

  // Makes room for rows up to `rows`; may move what is there.
  void reserve(std::size_t rows);
  // So many rows there is room for without moving any.
  std::size_t room() const;
  // A copy with room for rows up to `rows`.
  EmbeddingStore grown(std::size_t rows) const;
  // One of the same kind without rows.
  EmbeddingStore none_of_it() const;
  // Encodes vectors [from, to) of `vectors` into the rows behind rows(), which must be reserved.
  // Several threads may encode different ranges (pq: that begin at multiples of 64 rows).
  void encode(const float* vectors, std::size_t from, std::size_t to);
  void publish(std::size_t rows) { rows_ = rows; }
  void truncate(std::size_t rows);
  // reserve, encode and publish, after training on the first vectors if that is wanted; throws and
  // changes nothing.
  void append(const float* vectors, std::size_t count);
  void overwrite(std::size_t row, const float* vector);
  // Copies rows of a store with the same codec behind rows(), which must be reserved, and publishes
  // them.
  void copy_rows(const EmbeddingStore& from, const std::uint32_t* rows, std::size_t count);

  // Copies what row r stands for: dim() finite values; 0 where a damaged file has another.
  void decode(std::size_t r, float* vector) const;
  StorageErrors errors(const float* vectors, std::size_t first, std::size_t count) const;
  // What bounds the error of an inner product with the row; see Codec::error_bound.
  double error_bound(std::size_t r, double query_norm, double deviations) const;

  // Bytes that a query's preparation takes, and the preparation (it normalizes for cosine).
  std::size_t prepared_bytes() const;
  PreparedQuery prepare(const float* query, std::uint8_t* buffer) const;
  // The same of what row r stands for; `vector` is room for dim() values.
  PreparedQuery prepare_row(std::size_t r, float* vector, std::uint8_t* buffer) const;
  // Whether that takes much less than the preparation of any other vector.
  bool rows_prepare_faster() const { return codec_->options().components > 0; }
  // Distance of the query to rows [first, first + count), or to rows by number, which may have been
  // asked for by prefetch. For pq, `first` is a multiple of 64.
  void distances(const PreparedQuery& query, std::size_t first, std::size_t count,
                 float* out) const;
  void distances(const PreparedQuery& query, const std::uint32_t* ids, std::size_t count,
                 float* out, bool asked_for = false) const;

  // Asks for what scoring a row by its number reads.
  void prefetch(std::uint32_t row) const {
    const std::uint8_t* const code = codes_.data() + row * row_bytes();
    const std::size_t bytes = row_bytes() < kMostPrefetched ? row_bytes() : kMostPrefetched;
    for (std::size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(code + at);
    if (factors_a_row_ > 0) __builtin_prefetch(of_rows_.data() + factors_a_row_ * row);
  }
  // Whether rows are too many for the caches.
  bool far() const { return codes_.size() > kFarBytes && type() != StorageType::kPq; }

  // Values of a row with its padding, which is zeros in rows and prepared queries alike: kernels
  // run over it and need no tail. Float types only.
  std::size_t padded_dim() const {
    return row_bytes() / (type() == StorageType::kF32 ? sizeof(float) : sizeof(std::uint16_t));
  }

  // f32 only.
  const float* row(std::size_t r) const { return data() + r * stride(); }
  const float* data() const { return reinterpret_cast<const float*>(codes_.data()); }
  std::size_t stride() const { return row_bytes() / sizeof(float); }

  const std::uint8_t* codes() const { return codes_.data(); }
  CodeRows code_rows() const;

  // What a snapshot holds: bytes of the codes of `rows` rows, and the parts.
  std::size_t code_bytes(std::size_t rows) const;
  const AlignedBuffer<float>& scales() const { return scales_; }
  const AlignedBuffer<float>& offsets() const { return offsets_; }
  const AlignedBuffer<float>& squares() const { return squares_; }
  const AlignedBuffer<float>& factors_together() const { return of_rows_; }  // empty if not kept
  struct Image {
    std::size_t rows = 0;
    std::vector<float> learned;
    AlignedBuffer<std::uint8_t> codes;
    AlignedBuffer<float> scales;
    AlignedBuffer<float> offsets;
    AlignedBuffer<float> squares;
    AlignedBuffer<float> together;  // empty: to be made, if they are kept
    bool checks = true;             // whether each factor is looked at
  };
  // Takes them. Throws Error(kFormat) if a factor is not finite, or not the same where it stands
  // twice.
  void adopt(Image image);

 private:
  static constexpr std::size_t kMostPrefetched = 512;
  static constexpr std::size_t kFarBytes = std::size_t{8} << 20;
  // Where row r of interleaved codes begins; its next byte lies kPqBlockRows further.
  std::size_t pq_start(std::size_t r) const {
    return r / kPqBlockRows * kPqBlockRows * row_bytes() + r % kPqBlockRows;
  }
  void place_code(std::size_t r, const std::uint8_t* code);
  // A row's code in one piece: where it lies, or gathered.
  const std::uint8_t* code_of(std::size_t r, std::vector<std::uint8_t>& gathered) const;
  RowFactors factors(std::size_t r) const;
  void set_factors(std::size_t r, const RowFactors& factors);
  void resize_factors(std::size_t rows);
  std::size_t unit_query_bytes() const;
  const float* normalized(const float* vector, float* buffer) const;

  std::shared_ptr<Codec> codec_;
  bool trained_ = false;
  std::size_t rows_ = 0;
  AlignedBuffer<std::uint8_t> codes_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<float> offsets_;
  AlignedBuffer<float> squares_;
  std::size_t factors_a_row_ = 0;
  AlignedBuffer<float> of_rows_;  // scale, offset, square, as far as rows have them, row by row
};

// Throws Error(kNotFinite) naming the first value of `vectors` (count × dim) that is NaN or
// infinite.
void require_finite(const float* vectors, std::size_t count, std::size_t dim, const char* what);

}  // namespace lichen
