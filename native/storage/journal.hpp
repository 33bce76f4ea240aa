#pragma once
// Journal: the changes since a snapshot, in files beside it. Each is appended before it is
// acknowledged; opening replays what the snapshot does not have yet.
//
// A segment `PATH.journal-NNN…` (NNN: the sequence of its first record, 20 digits) is
// little-endian:
//
//   header, 64 bytes   magic, version, the journal's id, first sequence (SegmentHeader); its last
//                      field is the CRC-32C of the rest
//   records            each: RecordHeader (24 bytes), the payload, zeros up to a multiple of 8, and
//                      the complement of the sequence (8 bytes)
//
// Sequences rise by one, across segments too. A write that a crash cut short leaves a prefix of a
// record at the end of the last segment, and zeros or nothing behind it: that is cut off. Whatever
// else does not fit is an error that names the place.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/file.hpp"

namespace lichen {

// Where a snapshot stands in a journal: it has the records up to `sequence` of the journal `id`.
struct JournalPosition {
  std::uint64_t id = 0;
  std::uint64_t sequence = 0;
};

// Bytes that follow one another in a record.
struct JournalPiece {
  const void* data;
  std::size_t bytes;
};

class Journal {
 public:
  // Takes the lock of the snapshot file `path`. Throws Error(kLocked) if another journal has it,
  // here or in another process; Error(kIo).
  explicit Journal(const std::string& path);

  const std::string& path() const { return path_; }  // of the snapshot

  using Apply = std::function<void(const std::uint8_t* payload, std::size_t bytes)>;
  // Calls apply for each record behind the position, cuts off what a crash left, and makes the
  // journal ready for appending. Throws Error(kFormat) for records that are damaged, missing or of
  // another journal, and what apply throws.
  void recover(const JournalPosition& position, const Apply& apply);

  // Appends a record and returns its sequence: a crash of this process does not lose it any more.
  // Throws Error(kIo), and then the journal is as before.
  std::uint64_t append(const std::vector<JournalPiece>& payload);
  // Takes the last record back, which must not be acknowledged.
  void drop_last();
  // Returns once everything up to the sequence is on disk: a crash of the machine does not lose it
  // any more. Callers side by side share the waiting.
  void sync(std::uint64_t sequence);
  std::uint64_t last_sequence() const;

  // Begins a segment; the position up to which a snapshot that is taken now goes.
  JournalPosition rotate();
  // A snapshot that goes up to the position is on disk: removes the segments it makes needless.
  void forget(const JournalPosition& position);
  // Of all segments.
  std::uint64_t bytes() const;

 private:
  struct Segment {
    std::string path;
    std::uint64_t first = 0;  // sequence
    std::uint64_t bytes = 0;
  };

  void find_segments();
  void start_segment(std::uint64_t first);
  // Replays a segment from sequence `next` on; returns the one after its last record.
  std::uint64_t replay(std::size_t at, std::uint64_t next, std::uint64_t after, const Apply& apply);
  void require_sound() const;

  std::string path_;
  File lock_file_;
  std::uint64_t id_ = 0;
  std::vector<Segment> segments_;  // rising; the last one is written to

  mutable std::mutex mutex_;
  std::condition_variable synced_some_;
  File file_;
  std::uint64_t last_ = 0;        // sequence
  std::uint64_t last_start_ = 0;  // its offset
  std::uint64_t synced_ = 0;      // sequence
  bool syncing_ = false;
  // What is on disk is not known any more, so nothing may be acknowledged.
  bool failed_ = false;
};

}  // namespace lichen
