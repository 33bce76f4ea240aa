// HnswIndex::from_hnswlib

#include <string>
#include <utility>

#include "index/hnsw_index.hpp"
#include "index/hnswlib_file.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// Keys of all rows where the file's labels are row numbers, those of rows beyond `keys` made up:
// they are deleted.
KeyBatch keys_by_row(const std::string& path, const HnswlibGraph& file, KeyBatch keys) {
  const auto refuse = [&](const std::string& what) {
    throw Error(Code::kFormat, path + ": " + what);
  };
  const std::size_t given = keys.kind == KeyKind::kRow ? file.rows : keys.size();
  if (given > file.rows) refuse("there are more keys than rows");
  for (std::size_t row = 0; row < file.rows; ++row) {
    if (file.labels[row] != static_cast<std::int64_t>(row)) refuse("a label is no row number");
    if (row >= given && file.deleted[row] == 0) refuse("there are fewer keys than rows");
  }
  for (std::size_t row = given; row < file.rows; ++row) {
    keys.strings.push_back(std::string("\0row ", 5) + std::to_string(row));
  }
  return keys;
}

KeyBatch labels_of(const HnswlibGraph& file) {
  KeyBatch keys;
  keys.kind = KeyKind::kInteger;
  keys.integers.assign(file.labels.data(), file.labels.data() + file.rows);
  return keys;
}

}  // namespace

std::unique_ptr<HnswIndex> HnswIndex::from_hnswlib(const std::string& path,
                                                   const StorageOptions& options,
                                                   std::optional<KeyBatch> keys,
                                                   std::size_t threads, Progress& progress) {
  HnswlibGraph file = read_hnswlib(path, options.codec.dim);
  HnswParameters parameters;
  parameters.m = file.m;
  parameters.ef_construction = file.ef_construction;
  parameters.seed = options.codec.seed;
  auto index = std::make_unique<HnswIndex>(options, parameters);
  if (file.rows == 0) return index;
  const KeyBatch batch =
      keys.has_value() ? keys_by_row(path, file, std::move(*keys)) : labels_of(file);
  index->imported_ = std::make_unique<HnswGraph>(file.m);
  index->imported_->load(std::move(file.levels), std::move(file.base), std::move(file.upper),
                         {file.entry_row, static_cast<std::uint32_t>(file.max_level)});
  index->is_imported_ = true;
  index->append(batch, file.vectors.data(), file.rows);
  index->link(threads, progress);
  std::vector<std::uint32_t> gone;
  for (std::uint32_t row = 0; row < file.rows; ++row) {
    if (file.deleted[row] != 0) gone.push_back(row);
  }
  if (!gone.empty()) index->remove_rows(gone);
  return index;
}

}  // namespace lichen
