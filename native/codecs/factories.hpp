#pragma once
// What Codec::make chooses from: one factory a family of storage types, in the file of its codec.

#include <memory>

#include "codecs/codec.hpp"

namespace lichen {

std::unique_ptr<Codec> make_float_codec(const CodecOptions& options);
std::unique_ptr<Codec> make_i8_codec(const CodecOptions& options);
std::unique_ptr<Codec> make_i4_codec(const CodecOptions& options);
std::unique_ptr<Codec> make_b1_codec(const CodecOptions& options);
std::unique_ptr<Codec> make_pq_codec(const CodecOptions& options);
std::unique_ptr<Codec> make_projected_codec(const CodecOptions& options);

}  // namespace lichen
