#pragma once
// Index files of hnswlib (HierarchicalNSW::saveIndex of its C++ library, of its Python and Node.js
// bindings), as 64-bit little-endian machines write them. All fields are packed:
//
//   header, 96 bytes  offset of the links 0, capacity, rows, bytes a row, offset of the label,
//                     offset of the vector (u64 each); greatest level i32, entry row u32; maxM,
//                     maxM0, M (u64); mult f64; efConstruction (u64)
//   rows              link word u32 (low half: links; bit 16: row is deleted), maxM0 slots u32,
//                     vector dim × f32, label u64
//   upper links       a row: bytes u32 that follow; then, a level from 1 on, link word, maxM slots
//
// The file says neither its dim (only its bytes a vector) nor its metric, and has no magic and no
// checksum, so a damaged one may still read as a sound graph with other vectors or links. What
// comes out is safe to follow.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/aligned.hpp"

namespace lichen {

// Rows in hnswlib's order of adding. `levels`, `base` and `upper` lie as HnswGraph::load takes
// them, `labels` as KeyMap::load does.
struct HnswlibGraph {
  std::size_t dim = 0;
  std::size_t rows = 0;
  std::size_t m = 0;       // slots of an upper list, 2 to 512
  std::size_t max_m0 = 0;  // slots of a base list: 2m
  std::size_t ef_construction = 0;
  std::uint64_t capacity = 0;   // rows that hnswlib had, and will take, memory for; at least rows
  std::uint32_t entry_row = 0;  // of level max_level; 0 if there are no rows
  std::size_t max_level = 0;
  std::vector<float> vectors;          // rows × dim, finite; of a cosine index normalized
  AlignedBuffer<std::int64_t> labels;  // rows, distinct, 0 to 2^53 − 1
  AlignedBuffer<std::uint8_t> levels;  // rows, each at most max_level
  std::vector<std::uint8_t> deleted;   // rows, 1 = marked as deleted; its links still count
  AlignedBuffer<std::uint32_t> base;   // rows × max_m0, unused slots kNoRow
  AlignedBuffer<std::uint32_t> upper;  // m a level above 0, in the order of the rows
};

// Reads a file whose vectors have `dim` values. Links of a row to itself and second links to the
// same row, which hnswlib may write and searches gain nothing by, are left out. Throws
// Error(kNotFound | kIo); kFormat for what hnswlib would not write; kDimension for vectors of
// another dim; kNotFinite; kUnsupported for what it may write but lichen does not hold (M out of 2
// to 512, efConstruction above 65,536, labels above 2^53 − 1, levels above 31); kArgument for a dim
// out of range; std::bad_alloc.
HnswlibGraph read_hnswlib(const std::string& path, std::size_t dim);

}  // namespace lichen
