#pragma once
// A store in a snapshot: the index's own, or the finer one beside it.

#include <vector>

#include "storage/embedding_store.hpp"
#include "storage/snapshot.hpp"

namespace lichen {

enum class StoreRole { kMain, kFine };

// What a header says of the codec.
void describe_codec(const CodecOptions& options, SnapshotHeader& header);
// Throws Error(kFormat) if it, or the number of rows, is out of range.
CodecOptions codec_options_of(const SnapshotHeader& header);

// Adds the store's sections; its memory must stay as it is while they are in use.
void describe_store(const EmbeddingStore& store, StoreRole role,
                    std::vector<SectionData>& sections);
// Reads them into an empty store of the same options. Throws Error(kFormat | kIo).
void load_store(const SnapshotReader& reader, StoreRole role, std::size_t rows,
                EmbeddingStore& store);

}  // namespace lichen
