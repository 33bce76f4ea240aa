#pragma once
// The snapshot file (.lichen), format version 1. Everything is little-endian.
//
//   header, 128 bytes   magic, version, counts and parameters (SnapshotHeader); its last field is
//   the CRC-32C of the
//                       header (that field zero) followed by the section table
//   section table       32 bytes a section (SectionEntry)
//   sections            each starts at a multiple of 64 bytes, gaps are zero
//
// A file is written beside its target and renamed over it once it is on disk, so a reader sees the
// old file or the new one and never a part. A reader trusts nothing: sizes are checked against the
// file's length before memory is taken, checksums before content is used, and the index checks
// every number it will follow. Of a file that is mapped and not verified the checksums are not
// looked at, and what is too much to check beforehand is checked where it is followed.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/aligned.hpp"
#include "runtime/error.hpp"
#include "runtime/file.hpp"
#include "runtime/mapping.hpp"
#include "runtime/progress.hpp"
#include "storage/journal.hpp"

namespace lichen {

inline constexpr std::array<char, 8> kSnapshotMagic = {'L', 'I', 'C', 'H', 'E', 'N', '\r', '\n'};
inline constexpr std::uint32_t kSnapshotVersion = 1;

enum class IndexKind : std::uint32_t { kFlat = 1, kHnsw = 2, kStore = 3 };
enum class SectionType : std::uint32_t {
  kVectors = 1,        // codes of the rows, as in memory (f32: rows × stride)
  kIntegerKeys = 2,    // rows × i64; also of key kind kRow once they are not the row numbers
  kKeyOffsets = 3,     // (rows + 1) × u64
  kKeyCharacters = 4,  // UTF-8
  kLevels = 5,         // rows × u8
  kBaseLinks = 6,      // rows × 2m u32, unused slots 0xFFFFFFFF
  kUpperLinks = 7,     // m u32 a level above 0, in the order of the rows
  kScales = 8,         // rows × f32, as the storage type has them
  kOffsets = 9,
  kSquares = 10,
  kLearned = 11,      // f32: the mean, or the centroids
  kCalibration = 12,  // optional; u32: rows, hubs a place, patience, then ef and bits of the recall
  kDead = 13,         // bit r % 8 of byte r / 8: row r is dead; only with the feature kHasDeadRows
  kModel = 14,        // UTF-8: the version of the model that made the vectors, if it was told
  kJournal = 19,      // u64 id, u64 sequence: the journal beside it, as far as it is in here
  // What could be made from the rest, but not at once; optional.
  kKeySlots = 15,     // u32: the table that leads from keys to rows (storage/key_map.hpp)
  kFactors = 16,      // rows × 4 f32, where a row has three: scale, offset, square and 0
  kNorms = 17,        // rows × f32
  kHubs = 18,         // u32: the rows where searches begin, by falling norm
  kFactorPairs = 20,  // rows × 2 f32, where a row has two: scale, then offset or square
  // The finer vectors, by which results are scored anew: the types above, and this.
  kFine = 32,
  // Attributes; see attribute_sections.hpp.
  kAttributeSchema = 64,    // names, kinds, dictionaries
  kAttributeValues = 128,   // and the column's number: its values
  kAttributeOffsets = 192,  // and the column's number: where the rows' tags are
};

// Bits of SnapshotHeader::features.
inline constexpr std::uint64_t kHasDeadRows = 1;
inline constexpr std::uint64_t kHasComponents = 2;
inline constexpr std::uint64_t kKnownFeatures = kHasDeadRows | kHasComponents;

struct SnapshotHeader {
  std::array<char, 8> magic = kSnapshotMagic;
  std::uint32_t version = kSnapshotVersion;
  std::uint32_t header_bytes = 128;
  std::uint64_t features = 0;  // a set bit that a reader does not know makes it refuse the file
  std::uint64_t file_bytes = 0;
  std::uint64_t rows = 0;
  std::uint32_t dim = 0;
  std::uint32_t kind = 0;      // IndexKind
  std::uint32_t metric = 0;    // Metric
  std::uint32_t storage = 0;   // StorageType
  std::uint32_t key_kind = 0;  // KeyKind
  std::uint32_t sections = 0;
  // HNSW only, else 0.
  std::uint32_t m = 0;
  std::uint32_t ef_construction = 0;
  std::uint32_t entry_row = 0;
  std::uint32_t max_level = 0;
  std::uint64_t seed = 0;
  // Storage types beyond f32, else 0.
  std::uint32_t rerank = 0;  // 1 + Storage of the finer vectors, 0 = none
  std::uint32_t subspaces = 0;
  std::uint64_t codec_seed = 0;
  // Where the caller gave no keys, but those of the rows are in the file: the next row's key.
  std::uint64_t next_key = 0;
  std::uint64_t snapshot_version = 0;  // what the caller counts
  std::uint32_t components = 0;        // of which codes are kept, 0 = of the values
  std::uint32_t checksum = 0;
};
static_assert(sizeof(SnapshotHeader) == 128);

struct SectionEntry {
  std::uint32_t type = 0;
  std::uint32_t checksum = 0;  // CRC-32C of the section's bytes
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(SectionEntry) == 32);

// What a caller writes on a snapshot.
struct SnapshotLabel {
  std::string model;          // the version of the model that made the vectors; may be empty
  std::uint64_t version = 0;  // of the snapshot
};
inline constexpr std::size_t kMaxModelBytes = 65535;

// A section to be written; the memory must stay as it is until write_snapshot returns.
struct SectionData {
  SectionType type;
  const void* data;
  std::size_t bytes;
};

// A snapshot that is written beside its target and not published yet; removed again if it never is.
class SnapshotDraft {
 public:
  // Copies the sections. Progress counts bytes. Throws Error(kNotFound | kIo | kAborted), leaving
  // nothing behind.
  SnapshotDraft(const std::string& path, SnapshotHeader header,
                const std::vector<SectionData>& sections, Progress& progress);
  ~SnapshotDraft();
  SnapshotDraft(const SnapshotDraft&) = delete;
  SnapshotDraft& operator=(const SnapshotDraft&) = delete;

  // Waits for the disk and takes the target's place; returns the file's size. Throws Error(kIo),
  // and then the target is as it was.
  std::uint64_t publish();

 private:
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes, Progress& progress);

  std::string target_;
  std::string path_;
  File file_;
  std::uint64_t bytes_ = 0;
  bool published_ = false;
};

// Writes atomically; returns the file's size. Throws as SnapshotDraft.
std::uint64_t write_snapshot(const std::string& path, const SnapshotHeader& header,
                             const std::vector<SectionData>& sections, Progress& progress);
// Where the file `path` really lies: symbolic links are followed. Throws Error(kIo) for what is no
// regular file: renaming over /dev/null would replace it.
std::string resolve_target(const std::string& path);

// How a file is looked at: read into memory, or mapped, with or without a look at the checksums.
enum class Access { kRead, kMap, kMapVerified };

class SnapshotReader {
 public:
  // Reads and checks header and section table. Throws Error(kNotFound | kIo | kFormat |
  // kUnsupported).
  explicit SnapshotReader(const std::string& path, Access access = Access::kRead);

  const SnapshotHeader& header() const { return header_; }
  const std::vector<SectionEntry>& sections() const { return sections_; }
  // Whether what is read has the checksum that the table gives.
  bool verifies() const { return access_ != Access::kMap; }

  // Reads a section that must be there and hold `count` elements; or a view of it, if the file is
  // mapped.
  template <class T>
  AlignedBuffer<T> read(SectionType type, std::uint64_t count) const {
    const SectionEntry& entry = find(type);
    require_size(entry, count, sizeof(T));
    if (mapping_ != nullptr) {
      char* const data = mapping_->data() + entry.offset;
      if (verifies()) require_checksum(entry, data);
      return AlignedBuffer<T>::view(reinterpret_cast<T*>(data), count, mapping_);
    }
    AlignedBuffer<T> buffer;
    buffer.resize(count, T{});
    read_into(entry, buffer.data());
    return buffer;
  }
  // Makes something of what is read: what Error(kFormat) it throws names the file, and so does
  // Error(kArgument), by which a constructor refuses what stands in the file.
  template <class Work>
  auto named(const Work& work) const {
    try {
      return work();
    } catch (const Error& error) {
      const bool is_of_file = error.code() == Code::kFormat || error.code() == Code::kArgument;
      if (!is_of_file || std::string(error.what()).rfind(path_, 0) == 0) throw;
      malformed(error.what());
    }
  }
  std::uint64_t bytes_of(SectionType type) const { return find(type).bytes; }
  bool has(SectionType type) const;
  // Whether the section's bytes have the checksum that the table gives.
  bool verify(const SectionEntry& entry) const;

 private:
  const SectionEntry& find(SectionType type) const;
  void require_size(const SectionEntry& entry, std::uint64_t count, std::size_t size) const;
  void read_into(const SectionEntry& entry, void* target) const;
  void require_checksum(const SectionEntry& entry, const void* data) const;
  void read_at(std::uint64_t offset, void* target, std::size_t bytes) const;
  [[noreturn]] void malformed(const std::string& what) const;

  std::string path_;
  Access access_;
  File file_;
  std::shared_ptr<Mapping> mapping_;  // null if the file is read
  std::uint64_t file_bytes_ = 0;
  SnapshotHeader header_;
  std::vector<SectionEntry> sections_;
};

// Rows that are dead; none, if the file has no such feature.
struct DeadRows {
  std::vector<std::uint8_t> bits;  // bit r % 8 of byte r / 8
  std::size_t count = 0;
};
// Throws Error(kFormat) if the bits make no sense.
DeadRows read_dead_rows(const SnapshotReader& reader, std::size_t rows);
// Throws Error(kFormat) if the model's version is too long.
SnapshotLabel read_label(const SnapshotReader& reader);
// Where the snapshot stands in the journal beside it: of a file that says nothing of one, before
// the first record of a journal that is this file's own.
JournalPosition read_journal_position(const SnapshotReader& reader);

const char* section_name(std::uint32_t type);

}  // namespace lichen
