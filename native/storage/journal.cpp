#include "storage/journal.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

#include "runtime/aligned.hpp"
#include "runtime/crc32c.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

constexpr std::array<char, 8> kMagic = {'L', 'I', 'C', 'H', 'E', 'N', 'J', '\n'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kDigits = 20;
constexpr std::size_t kSmall = std::size_t{64} << 10;  // records that are written in one piece

struct SegmentHeader {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t header_bytes = 64;
  std::uint64_t id = 0;
  std::uint64_t first = 0;
  std::array<std::uint32_t, 7> reserved = {};
  std::uint32_t checksum = 0;

  std::uint32_t right_checksum() const { return crc32c(0, this, sizeof *this - sizeof checksum); }
};
static_assert(sizeof(SegmentHeader) == 64);

struct RecordHeader {
  std::uint64_t sequence = 0;
  std::uint64_t bytes = 0;             // of the payload
  std::uint32_t payload_checksum = 0;  // CRC-32C
  std::uint32_t checksum = 0;          // of the fields above

  std::uint32_t right_checksum() const { return crc32c(0, this, sizeof *this - sizeof checksum); }
};
static_assert(sizeof(RecordHeader) == 24);

constexpr std::uint64_t kAround = sizeof(RecordHeader) + sizeof(std::uint64_t);

std::string segment_path(const std::string& path, std::string digits) {
  digits.insert(0, kDigits - digits.size(), '0');
  return path + ".journal-" + digits;
}

// Whether a file holds nothing but zeros from an offset on.
bool is_zero_from(const File& file, std::uint64_t offset) {
  std::vector<char> piece(kSmall);
  for (;;) {
    const std::size_t bytes = file.read_at(offset, piece.data(), piece.size());
    if (bytes == 0) return true;
    if (std::any_of(piece.data(), piece.data() + bytes, [](char c) { return c != 0; })) {
      return false;
    }
    offset += bytes;
  }
}

}  // namespace

Journal::Journal(const std::string& path)
    : path_(path), lock_file_(path + ".lock", File::Mode::kLock) {
  if (!lock_file_.try_lock()) {
    throw Error(Code::kLocked, path + " is open for writing elsewhere");
  }
}

void Journal::require_sound() const {
  if (!failed_) return;
  throw Error(Code::kIo, "the journal of " + path_ +
                             " failed before; open it anew to go on from what is on disk");
}

std::uint64_t Journal::last_sequence() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return last_;
}

std::uint64_t Journal::bytes() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments_) bytes += segment.bytes;
  return bytes;
}

// ---- recovery

void Journal::find_segments() {
  const std::string folder = folder_of(path_);
  const std::string prefix = (folder == "." ? path_ : path_.substr(folder.size())) + ".journal-";
  DIR* const handle = ::opendir(folder.c_str());
  if (handle == nullptr) throw_io("read", folder);
  while (const dirent* entry = ::readdir(handle)) {
    const std::string name = entry->d_name;
    if (name.size() != prefix.size() + kDigits || name.rfind(prefix, 0) != 0) continue;
    const std::string digits = name.substr(prefix.size());
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    segments_.push_back(
        {segment_path(path_, digits), std::strtoull(digits.c_str(), nullptr, 10), 0});
  }
  ::closedir(handle);
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.first < b.first; });
}

void Journal::recover(const JournalPosition& position, const Apply& apply) {
  id_ = position.id;
  find_segments();
  // A crash may have come before the header of a new segment was on disk.
  if (!segments_.empty()) {
    const File last(segments_.back().path, File::Mode::kRead);
    if (last.size() < sizeof(SegmentHeader) || is_zero_from(last, 0)) {
      ::unlink(segments_.back().path.c_str());
      segments_.pop_back();
    }
  }
  std::uint64_t next = segments_.empty() ? position.sequence + 1 : segments_.front().first;
  if (next > position.sequence + 1) {
    throw Error(Code::kFormat, "the journal of " + path_ + " begins with record " +
                                   std::to_string(next) + ", but the snapshot ends with " +
                                   std::to_string(position.sequence));
  }
  for (std::size_t at = 0; at < segments_.size(); ++at) {
    next = replay(at, next, position.sequence, apply);
  }
  if (next <= position.sequence) {
    // The snapshot has all of it and more.
    for (const Segment& segment : segments_) ::unlink(segment.path.c_str());
    segments_.clear();
    next = position.sequence + 1;
  }
  last_ = synced_ = next - 1;
  if (segments_.empty()) {
    start_segment(next);
  } else {
    file_ = File(segments_.back().path, File::Mode::kWrite);
  }
}

std::uint64_t Journal::replay(std::size_t at, std::uint64_t next, std::uint64_t after,
                              const Apply& apply) {
  Segment& segment = segments_[at];
  const bool is_last = at + 1 == segments_.size();
  File file(segment.path, File::Mode::kWrite);
  const std::uint64_t size = file.size();
  std::uint64_t offset = 0;
  const auto damaged = [&](const std::string& what) {
    throw Error(Code::kFormat,
                segment.path + " is damaged at offset " + std::to_string(offset) + ": " + what);
  };
  SegmentHeader header;
  if (file.read_at(0, &header, sizeof header) < sizeof header || header.magic != kMagic ||
      header.checksum != header.right_checksum() || header.header_bytes != sizeof header) {
    damaged("its header is not sound");
  }
  if (header.version != kVersion) {
    throw Error(Code::kUnsupported, segment.path + " has version " +
                                        std::to_string(header.version) +
                                        "; this lichen reads version " + std::to_string(kVersion));
  }
  if (header.id != id_) {
    throw Error(Code::kFormat, segment.path + " belongs to another snapshot than " + path_ +
                                   ", which was put in its place; remove the journal if nothing " +
                                   "of it is wanted");
  }
  if (header.first != next || segment.first != next) {
    damaged("record " + std::to_string(next) + " should come first");
  }
  std::vector<std::uint8_t> payload;
  for (offset = sizeof header; offset < size;) {
    RecordHeader record;
    const std::size_t got = file.read_at(offset, &record, sizeof record);
    const bool whole_header = got == sizeof record && record.checksum == record.right_checksum();
    bool torn = false;
    if (!whole_header) {
      torn = got < sizeof record || is_zero_from(file, offset + sizeof record);
      if (!torn) damaged("the head of a record is not sound");
    } else if (record.sequence != next) {
      damaged("it is record " + std::to_string(record.sequence) + ", expected " +
              std::to_string(next));
    } else {
      const std::uint64_t left = size - offset;
      torn = record.bytes > left || kAround + round_up(record.bytes, 8) > left;
    }
    if (!torn) {
      const std::uint64_t end = offset + sizeof record + round_up(record.bytes, 8);
      std::uint64_t mark = 0;
      file.read_at(end, &mark, sizeof mark);
      // Written from its low byte on; its high one is never zero.
      torn = mark >> 56 == 0 && is_zero_from(file, end + sizeof mark);
      if (!torn) {
        payload.resize(record.bytes);
        file.read_at(offset + sizeof record, payload.data(), payload.size());
        if (mark != ~record.sequence ||
            crc32c(0, payload.data(), payload.size()) != record.payload_checksum) {
          damaged("the checksum of record " + std::to_string(next) + " does not match");
        }
      }
    }
    if (torn) {
      if (!is_last) damaged("it is cut off, but others follow");
      file.set_size(offset);
      file.sync_data();
      break;
    }
    if (record.sequence > after) {
      try {
        apply(payload.data(), payload.size());
      } catch (const Error& error) {
        damaged("record " + std::to_string(next) + " cannot be done again: " + error.what());
      }
    }
    last_start_ = offset;
    offset += kAround + round_up(record.bytes, 8);
    ++next;
  }
  segment.bytes = offset;
  return next;
}

void Journal::start_segment(std::uint64_t first) {
  const std::string path = segment_path(path_, std::to_string(first));
  File file(path, File::Mode::kCreate);
  try {
    SegmentHeader header;
    header.id = id_;
    header.first = first;
    header.checksum = header.right_checksum();
    file.write_at(0, &header, sizeof header);
    file.sync_data();
    sync_folder_of(path);
    segments_.push_back({path, first, sizeof header});
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  file_ = std::move(file);
}

// ---- appending

std::uint64_t Journal::append(const std::vector<JournalPiece>& payload) {
  static constexpr char kZeros[8] = {};
  std::lock_guard<std::mutex> lock(mutex_);
  require_sound();
  RecordHeader header;
  header.sequence = last_ + 1;
  for (const JournalPiece& piece : payload) {
    header.bytes += piece.bytes;
    header.payload_checksum = crc32c(header.payload_checksum, piece.data, piece.bytes);
  }
  header.checksum = header.right_checksum();
  const std::uint64_t mark = ~header.sequence;
  std::vector<JournalPiece> pieces = {{&header, sizeof header}};
  pieces.insert(pieces.end(), payload.begin(), payload.end());
  pieces.push_back({kZeros, round_up(header.bytes, 8) - header.bytes});
  pieces.push_back({&mark, sizeof mark});
  Segment& segment = segments_.back();
  std::uint64_t end = segment.bytes;
  try {
    if (const std::uint64_t bytes = kAround + round_up(header.bytes, 8); bytes <= kSmall) {
      std::vector<char> record;
      record.reserve(bytes);
      for (const JournalPiece& piece : pieces) {
        const char* const data = static_cast<const char*>(piece.data);
        record.insert(record.end(), data, data + piece.bytes);
      }
      file_.write_at(end, record.data(), record.size());
      end += record.size();
    } else {
      for (const JournalPiece& piece : pieces) {
        file_.write_at(end, piece.data, piece.bytes);
        end += piece.bytes;
      }
    }
  } catch (...) {
    // What was written of it must go, or the next record would follow a part of one.
    try {
      file_.set_size(segment.bytes);
    } catch (...) {
      failed_ = true;
    }
    throw;
  }
  last_start_ = segment.bytes;
  segment.bytes = end;
  return last_ = header.sequence;
}

void Journal::drop_last() {
  std::unique_lock<std::mutex> lock(mutex_);
  require_sound();
  synced_some_.wait(lock, [&] { return !syncing_; });
  try {
    file_.set_size(last_start_);
  } catch (...) {
    failed_ = true;
    throw;
  }
  segments_.back().bytes = last_start_;
  synced_ = std::min(synced_, --last_);
}

void Journal::sync(std::uint64_t sequence) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (synced_ < sequence) {
    require_sound();
    if (syncing_) {
      synced_some_.wait(lock);
      continue;
    }
    syncing_ = true;
    const std::uint64_t target = last_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      file_.sync_data();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    syncing_ = false;
    synced_some_.notify_all();
    if (failure != nullptr) {
      // The system may have dropped what it could not write, so a second try would prove nothing.
      failed_ = true;
      std::rethrow_exception(failure);
    }
    synced_ = std::max(synced_, target);
  }
}

// ---- snapshots

JournalPosition Journal::rotate() {
  sync(last_sequence());
  std::unique_lock<std::mutex> lock(mutex_);
  synced_some_.wait(lock, [&] { return !syncing_; });
  require_sound();
  if (segments_.back().first <= last_) start_segment(last_ + 1);
  return {id_, last_};
}

void Journal::forget(const JournalPosition& position) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::size_t needless = 0;
  while (needless + 1 < segments_.size() &&
         segments_[needless + 1].first <= position.sequence + 1) {
    ::unlink(segments_[needless++].path.c_str());
  }
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(needless));
  sync_folder_of(path_);
}

}  // namespace lichen
