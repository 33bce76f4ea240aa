#include "storage/snapshot.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runtime/crc32c.hpp"
#include "runtime/error.hpp"
#include "runtime/file.hpp"
#include "runtime/random.hpp"

namespace lichen {
namespace {

constexpr std::uint64_t kSectionAlignment = 64;
constexpr std::uint32_t kMaxSections = 256;
constexpr std::size_t kMaxTransfer = std::size_t{4}
                                     << 20;  // small enough to heed a wish to stop soon

std::uint32_t header_checksum(SnapshotHeader header, const std::vector<SectionEntry>& sections) {
  header.checksum = 0;
  const std::uint32_t crc = crc32c(0, &header, sizeof header);
  return crc32c(crc, sections.data(), sections.size() * sizeof(SectionEntry));
}

}  // namespace

std::string resolve_target(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return path;
  if (!S_ISREG(status.st_mode)) {
    throw Error(Code::kIo, "cannot write " + path + ": it is not a regular file");
  }
  char* const resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) throw_io("write", path);
  const std::string target = resolved;
  std::free(resolved);
  return target;
}

const char* section_name(std::uint32_t type) {
  static constexpr std::array<const char*, 21> kNames = {
      "unknown",     "vectors",    "integerKeys", "keyOffsets", "keyCharacters", "levels",
      "baseLinks",   "upperLinks", "scales",      "offsets",    "squares",       "learned",
      "calibration", "dead",       "model",       "keySlots",   "factors",       "norms",
      "hubs",        "journal",    "factorPairs"};
  static constexpr std::array<const char*, 12> kFineNames = {
      "unknown", "fineVectors", "unknown",    "unknown",     "unknown",     "unknown",
      "unknown", "unknown",     "fineScales", "fineOffsets", "fineSquares", "fineLearned"};
  if (type < kNames.size()) return kNames[type];
  if (type >= static_cast<std::uint32_t>(SectionType::kAttributeOffsets)) {
    return type < 256 ? "attributeOffsets" : "unknown";
  }
  if (type >= static_cast<std::uint32_t>(SectionType::kAttributeValues)) return "attributeValues";
  if (type == static_cast<std::uint32_t>(SectionType::kAttributeSchema)) return "attributeSchema";
  const std::uint32_t fine = type - static_cast<std::uint32_t>(SectionType::kFine);
  return fine < kFineNames.size() ? kFineNames[fine] : "unknown";
}

SnapshotDraft::SnapshotDraft(const std::string& path, SnapshotHeader header,
                             const std::vector<SectionData>& sections, Progress& progress)
    : target_(resolve_target(path)) {
  std::vector<SectionEntry> table;
  std::uint64_t end = sizeof(SnapshotHeader) + sections.size() * sizeof(SectionEntry);
  for (const SectionData& section : sections) {
    SectionEntry entry;
    entry.type = static_cast<std::uint32_t>(section.type);
    entry.checksum = crc32c(0, section.data, section.bytes);
    entry.offset = round_up(end, kSectionAlignment);
    entry.bytes = section.bytes;
    end = entry.offset + entry.bytes;
    table.push_back(entry);
  }
  progress.total.store(end);
  header.sections = static_cast<std::uint32_t>(table.size());
  header.file_bytes = bytes_ = end;
  header.checksum = header_checksum(header, table);

  static std::atomic<unsigned> counter{0};
  path_ = target_ + ".draft-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  try {
    file_ = File(path_, File::Mode::kCreate);
    write_at(0, &header, sizeof header, progress);
    write_at(sizeof header, table.data(), table.size() * sizeof(SectionEntry), progress);
    for (std::size_t i = 0; i < table.size(); ++i) {
      write_at(table[i].offset, sections[i].data, sections[i].bytes, progress);
    }
    // Also where the last section is empty and nothing was written up to there.
    file_.set_size(end);
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
  progress.done.store(end);  // the gaps between sections are not written
}

SnapshotDraft::~SnapshotDraft() {
  if (!published_) ::unlink(path_.c_str());
}

void SnapshotDraft::write_at(std::uint64_t offset, const void* data, std::size_t bytes,
                             Progress& progress) {
  const char* const from = static_cast<const char*>(data);
  for (std::size_t done = 0; done < bytes;) {
    if (progress.cancel.load(std::memory_order_relaxed)) {
      throw Error(Code::kAborted, "writing " + target_ + " was aborted");
    }
    const std::size_t here = std::min(bytes - done, kMaxTransfer);
    file_.write_at(offset + done, from + done, here);
    done += here;
    progress.done.fetch_add(here, std::memory_order_relaxed);
  }
}

std::uint64_t SnapshotDraft::publish() {
  file_.sync_data();
  file_ = File();
  if (::rename(path_.c_str(), target_.c_str()) != 0) throw_io("write", target_);
  published_ = true;
  // The rename itself is durable once the folder is.
  sync_folder_of(target_);
  return bytes_;
}

std::uint64_t write_snapshot(const std::string& path, const SnapshotHeader& header,
                             const std::vector<SectionData>& sections, Progress& progress) {
  return SnapshotDraft(path, header, sections, progress).publish();
}

SnapshotReader::SnapshotReader(const std::string& path, Access access)
    : path_(path), access_(access), file_(path, File::Mode::kRead) {
  if (!file_.is_regular()) malformed("it is not a regular file");
  file_bytes_ = file_.size();
  if (file_bytes_ < sizeof header_) {
    malformed("it has " + std::to_string(file_bytes_) + " bytes, fewer than a header");
  }
  read_at(0, &header_, sizeof header_);
  if (header_.magic != kSnapshotMagic) malformed("it does not start with the magic bytes");
  if (header_.version != kSnapshotVersion || (header_.features & ~kKnownFeatures) != 0) {
    throw Error(Code::kUnsupported,
                path + " has format version " + std::to_string(header_.version) + " and features " +
                    std::to_string(header_.features) + "; this lichen reads version " +
                    std::to_string(kSnapshotVersion) + " with features " +
                    std::to_string(kKnownFeatures));
  }
  if (header_.header_bytes != sizeof header_ || header_.sections > kMaxSections) {
    malformed("the header is damaged");
  }
  if (header_.file_bytes != file_bytes_) {
    malformed("it has " + std::to_string(file_bytes_) + " bytes, its header says " +
              std::to_string(header_.file_bytes));
  }
  const std::uint64_t table_end = sizeof header_ + header_.sections * sizeof(SectionEntry);
  if (table_end > file_bytes_) malformed("the section table is cut off");
  sections_.resize(header_.sections);
  read_at(sizeof header_, sections_.data(), sections_.size() * sizeof(SectionEntry));
  if (header_checksum(header_, sections_) != header_.checksum) {
    malformed("the header's checksum does not match");
  }
  for (const SectionEntry& section : sections_) {
    if (section.offset < table_end || section.offset % kSectionAlignment != 0 ||
        section.offset > file_bytes_ || section.bytes > file_bytes_ - section.offset) {
      malformed(std::string("section ") + section_name(section.type) + " lies outside the file");
    }
  }
  if (access_ != Access::kRead) mapping_ = std::make_shared<Mapping>(file_.handle(), file_bytes_);
}

void SnapshotReader::malformed(const std::string& what) const {
  throw Error(Code::kFormat, path_ + " is not a sound lichen file: " + what);
}

bool SnapshotReader::has(SectionType type) const {
  return std::any_of(sections_.begin(), sections_.end(), [type](const SectionEntry& section) {
    return section.type == static_cast<std::uint32_t>(type);
  });
}

const SectionEntry& SnapshotReader::find(SectionType type) const {
  const SectionEntry* found = nullptr;
  for (const SectionEntry& section : sections_) {
    if (section.type != static_cast<std::uint32_t>(type)) continue;
    if (found != nullptr) malformed(std::string("two sections ") + section_name(section.type));
    found = &section;
  }
  if (found == nullptr) {
    malformed(std::string("no section ") + section_name(static_cast<std::uint32_t>(type)));
  }
  return *found;
}

void SnapshotReader::require_size(const SectionEntry& entry, std::uint64_t count,
                                  std::size_t size) const {
  if (entry.bytes % size != 0 || entry.bytes / size != count) {
    malformed(std::string("section ") + section_name(entry.type) + " has " +
              std::to_string(entry.bytes) + " bytes, expected " + std::to_string(count) + " × " +
              std::to_string(size));
  }
}

void SnapshotReader::read_at(std::uint64_t offset, void* target, std::size_t bytes) const {
  if (file_.read_at(offset, target, bytes) < bytes) malformed("it ended while it was read");
}

void SnapshotReader::read_into(const SectionEntry& entry, void* target) const {
  read_at(entry.offset, target, entry.bytes);
  require_checksum(entry, target);
}

void SnapshotReader::require_checksum(const SectionEntry& entry, const void* data) const {
  if (crc32c(0, data, entry.bytes) != entry.checksum) {
    malformed(std::string("the checksum of section ") + section_name(entry.type) +
              " does not match");
  }
}

bool SnapshotReader::verify(const SectionEntry& entry) const {
  std::vector<char> piece(std::min<std::uint64_t>(entry.bytes, std::uint64_t{1} << 20));
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < entry.bytes;) {
    const std::size_t bytes = std::min<std::uint64_t>(piece.size(), entry.bytes - done);
    read_at(entry.offset + done, piece.data(), bytes);
    crc = crc32c(crc, piece.data(), bytes);
    done += bytes;
  }
  return crc == entry.checksum;
}

DeadRows read_dead_rows(const SnapshotReader& reader, std::size_t rows) {
  DeadRows dead;
  if ((reader.header().features & kHasDeadRows) == 0) return dead;
  const auto section = reader.read<std::uint8_t>(SectionType::kDead, (rows + 7) / 8);
  dead.bits.assign(section.data(), section.data() + section.size());
  for (const std::uint8_t byte : dead.bits) {
    dead.count += static_cast<std::size_t>(std::popcount(byte));
  }
  const bool beyond = rows % 8 != 0 && dead.bits.back() >> (rows % 8) != 0;
  if (beyond || dead.count == 0) throw Error(Code::kFormat, "its dead rows make no sense");
  return dead;
}

SnapshotLabel read_label(const SnapshotReader& reader) {
  SnapshotLabel label;
  label.version = reader.header().snapshot_version;
  if (!reader.has(SectionType::kModel)) return label;
  const std::uint64_t bytes = reader.bytes_of(SectionType::kModel);
  if (bytes > kMaxModelBytes) throw Error(Code::kFormat, "the version of its model is too long");
  const auto section = reader.read<char>(SectionType::kModel, bytes);
  label.model.assign(section.data(), bytes);
  return label;
}

JournalPosition read_journal_position(const SnapshotReader& reader) {
  if (reader.has(SectionType::kJournal)) {
    const auto section = reader.read<std::uint64_t>(SectionType::kJournal, 2);
    return {section[0], section[1]};
  }
  const SnapshotHeader& header = reader.header();
  return {splitmix64(header.checksum, header.file_bytes), 0};
}

}  // namespace lichen
