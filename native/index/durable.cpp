// An index with a journal: what changes it is written down first.

#include "index/vector_index.hpp"
#include "runtime/error.hpp"
#include "runtime/progress.hpp"

namespace lichen {

std::unique_ptr<VectorIndex> VectorIndex::open_with_journal(const std::string& path, Access access,
                                                            std::size_t threads) {
  const std::string target = resolve_target(path);
  auto journal = std::make_unique<Journal>(target);
  std::unique_ptr<VectorIndex> index = open(target, access);
  journal->recover(index->position_, [&](const std::uint8_t* payload, std::size_t bytes) {
    index->redo(decode_change(payload, bytes, index->dim(), index->schema_), threads);
  });
  index->journal_ = std::move(journal);
  return index;
}

void VectorIndex::redo(const Change& change, std::size_t threads) {
  const AttributeBatch* const attributes =
      change.attributes.columns.empty() ? nullptr : &change.attributes;
  if (change.kind == Change::Kind::kRemove) {
    remove(change.keys);
  } else if (change.kind == Change::Kind::kSetAttributes) {
    set_attributes(change.keys, change.attributes);
  } else if (change.kind == Change::Kind::kCalibrate) {
    calibrate(change.vectors, change.count);
  } else {
    append(change.keys, change.vectors, change.count, static_cast<KeyMode>(change.kind),
           attributes);
    Progress progress;
    link(threads, progress);
  }
}

void VectorIndex::log(Change::Kind kind, const KeyBatch& keys, std::size_t count,
                      const float* vectors, const AttributeBatch* attributes) {
  if (journal_ == nullptr) return;
  const std::vector<std::uint8_t> head =
      encode_change(kind, keys, count, dim(), attributes, schema_);
  const std::size_t bytes = vectors == nullptr ? 0 : count * dim() * sizeof(float);
  journal_->append({{head.data(), head.size()}, {vectors, bytes}});
}

void VectorIndex::unlog() {
  if (journal_ != nullptr) journal_->drop_last();
}

VectorIndex::Checkpoint::Checkpoint(const VectorIndex& index, const SnapshotLabel& label,
                                    Progress& progress)
    : alone_(index.checkpointing_, WriterClaim::Held::kNow), journal_(*index.journal_) {
  WriterClaim claim(index.writing_, WriterClaim::Held::kNow);
  position_ = journal_.rotate();
  draft_ = index.draft_of(journal_.path(), label, &position_, progress);
}

std::uint64_t VectorIndex::Checkpoint::finish() {
  const std::uint64_t bytes = draft_->publish();
  journal_.forget(position_);
  return bytes;
}

}  // namespace lichen
