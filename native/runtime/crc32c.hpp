#pragma once
// CRC-32C (Castagnoli polynomial, reflected 0x82F63B78), the checksum of every section of a
// snapshot file.

#include <cstddef>
#include <cstdint>

namespace lichen {

// Continues a running checksum over `bytes` more; start with crc = 0.
std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t bytes);

// The same without the processor's own instruction.
std::uint32_t crc32c_portable(std::uint32_t crc, const void* data, std::size_t bytes);

}  // namespace lichen
