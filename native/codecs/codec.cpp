#include "codecs/codec.hpp"

#include <bit>
#include <string>
#include <utility>

#include "codecs/factories.hpp"
#include "runtime/aligned.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

constexpr std::size_t kMostValues = 65536;  // sums of codes times query stay within 32 bits

}  // namespace

std::unique_ptr<Codec> Codec::make(const CodecOptions& options) {
  if (options.dim == 0 || options.dim > kMostValues) {
    throw Error(Code::kArgument, "dim must be an integer from 1 to " + std::to_string(kMostValues) +
                                     ", got " + std::to_string(options.dim));
  }
  if (options.type == StorageType::kPq && options.subspaces > options.dim) {
    throw Error(Code::kArgument, "subspaces must be an integer from 1 to dim (" +
                                     std::to_string(options.dim) + "), got " +
                                     std::to_string(options.subspaces));
  }
  if (options.components > 0) {
    if (is_float(options.type) || options.type == StorageType::kPq) {
      throw Error(Code::kArgument, "pca belongs to the storage types i8, i4 and b1");
    }
    if (options.components > options.dim) {
      throw Error(Code::kArgument, "pca must be an integer from 1 to dim (" +
                                       std::to_string(options.dim) + "), got " +
                                       std::to_string(options.components));
    }
    return make_projected_codec(options);
  }
  switch (options.type) {
    case StorageType::kF32:
    case StorageType::kF16:
    case StorageType::kBf16:
      return make_float_codec(options);
    case StorageType::kI8:
      return make_i8_codec(options);
    case StorageType::kI4:
      return make_i4_codec(options);
    case StorageType::kB1:
      return make_b1_codec(options);
    case StorageType::kPq:
      return make_pq_codec(options);
  }
  throw Error(Code::kArgument, "there is no storage type number " +
                                   std::to_string(static_cast<std::uint32_t>(options.type)));
}

void Codec::train(const float*, std::size_t) {}

PreparedQuery Codec::prepare_code(const std::uint8_t* code, const RowFactors& factors,
                                  float* vector, void* buffer) const {
  decode(code, factors, vector);
  return prepare(vector, buffer);
}

void Codec::restore(std::vector<float> learned) {
  if (learned.empty()) return;
  throw Error(Code::kFormat, std::string(kStorageTypeNames[static_cast<std::size_t>(type())]) +
                                 " learns nothing, but there are " +
                                 std::to_string(learned.size()) + " learned values");
}

std::size_t padded_row_bytes(std::size_t bytes, std::size_t least) {
  if (bytes > 32) return round_up(bytes, kCacheLine);
  return std::bit_ceil(bytes > least ? bytes : least);
}

}  // namespace lichen
