#include "index/hnswlib_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "index/hnsw_graph.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

constexpr std::size_t kLeastM = 2;
constexpr std::size_t kMostM = 512;
constexpr std::uint64_t kMostEfConstruction = 65536;
constexpr std::uint64_t kMostLabel = (std::uint64_t{1} << 53) - 1;
constexpr std::uint32_t kDeletedBit = std::uint32_t{1} << 16;
constexpr std::uint32_t kCountMask = 0xFFFF;
constexpr std::size_t kWord = sizeof(std::uint32_t);
constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

struct Header {
  static constexpr std::size_t kBytes = 96;
  std::uint64_t links_offset, capacity, rows, row_bytes, label_offset, vector_offset;
  std::int32_t max_level;
  std::uint32_t entry_row;
  std::uint64_t max_m, max_m0, m;
  double mult;
  std::uint64_t ef_construction;
};
static_assert(sizeof(Header) == Header::kBytes, "the fields lie in the file as in memory");

[[noreturn]] void throw_io(const std::string& action, const std::string& path) {
  const int reason = errno;
  const Code code = reason == ENOENT ? Code::kNotFound : Code::kIo;
  throw Error(code, "cannot " + action + " " + path + ": " +
                        (reason == ENOENT ? "no such file or folder" : std::strerror(reason)));
}

// Reads a regular file from its start to its end, never past the length it had when it was opened.
class Input {
 public:
  explicit Input(const std::string& path) : path_(path) {
    // Not to wait for a writer where the path names a pipe.
    file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file_ < 0) throw_io("open", path);
    struct stat status;
    const int known = ::fstat(file_, &status);
    if (known != 0 || !S_ISREG(status.st_mode)) {
      const int reason = errno;
      ::close(file_);
      errno = reason;
      if (known != 0) throw_io("open", path);
      malformed("it is not a regular file");
    }
    left_ = static_cast<std::uint64_t>(status.st_size);
  }
  ~Input() { ::close(file_); }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Bytes that are still to come.
  std::uint64_t left() const { return left_; }

  void read(void* target, std::size_t bytes) {
    if (bytes > left_) malformed("it is cut off");
    left_ -= bytes;
    char* at = static_cast<char*>(target);
    while (bytes > 0) {
      if (at_ == filled_) fill();
      const std::size_t piece = std::min(bytes, filled_ - at_);
      std::memcpy(at, buffer_.data() + at_, piece);
      at += piece;
      at_ += piece;
      bytes -= piece;
    }
  }

  std::uint32_t read_word() {
    std::uint32_t word;
    read(&word, sizeof word);
    return word;
  }

  [[noreturn]] void malformed(const std::string& what) const {
    throw Error(Code::kFormat, path_ + " is not a sound hnswlib file: " + what);
  }
  [[noreturn]] void refuse(Code code, const std::string& what) const {
    throw Error(code, path_ + ": " + what);
  }

 private:
  void fill() {
    ssize_t done;
    do {
      done = ::read(file_, buffer_.data(), buffer_.size());
    } while (done < 0 && errno == EINTR);
    if (done < 0) throw_io("read", path_);
    if (done == 0) malformed("it ended while it was read");
    at_ = 0;
    filled_ = static_cast<std::size_t>(done);
  }

  std::string path_;
  int file_ = -1;
  std::uint64_t left_ = 0;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
  std::size_t at_ = 0;
  std::size_t filled_ = 0;
};

// Reads and checks the header: afterwards `rows` fit into the rest of the file.
Header read_header(Input& input, std::size_t dim) {
  const std::uint64_t file_bytes = input.left();
  if (file_bytes < Header::kBytes) {
    input.malformed("it has " + std::to_string(file_bytes) + " bytes, fewer than a header");
  }
  Header header;
  input.read(&header, sizeof header);
  if (header.links_offset != 0 || header.max_m != header.m || header.m == 0 ||
      header.ef_construction == 0 || header.rows > header.capacity) {
    input.malformed("the header is damaged");
  }
  if (header.m < kLeastM || header.m > kMostM || header.max_m0 != 2 * header.m) {
    input.refuse(Code::kUnsupported, "M is " + std::to_string(header.m) + " and maxM0 " +
                                         std::to_string(header.max_m0) + "; M must be from " +
                                         std::to_string(kLeastM) + " to " + std::to_string(kMostM) +
                                         " and maxM0 twice as much");
  }
  // hnswlib draws the levels of further rows by it, so whoever hands the file on to it relies on
  // it.
  if (!(std::abs(header.mult * std::log(static_cast<double>(header.m)) - 1.0) < 1e-6)) {
    input.malformed("the header is damaged");
  }
  if (header.ef_construction > kMostEfConstruction) {
    input.refuse(Code::kUnsupported, "efConstruction is " + std::to_string(header.ef_construction) +
                                         ", at most " + std::to_string(kMostEfConstruction) +
                                         " is supported");
  }
  // The slots are few, so none of these sums can overflow once the offset of the label is small.
  const std::uint64_t vector_offset = kWord * (1 + header.max_m0);
  if (header.vector_offset != vector_offset || header.label_offset < vector_offset ||
      header.label_offset > file_bytes + vector_offset + sizeof(float) * kMaxDim ||
      header.row_bytes != header.label_offset + sizeof(std::uint64_t)) {
    input.malformed("the header is damaged");
  }
  const std::uint64_t vector_bytes = header.label_offset - vector_offset;
  if (vector_bytes != sizeof(float) * dim) {
    input.refuse(Code::kDimension, "dim is " + std::to_string(dim) + ", so a vector has " +
                                       std::to_string(sizeof(float) * dim) +
                                       " bytes, but in the file it has " +
                                       std::to_string(vector_bytes));
  }
  // A row has at least a word among the upper links.
  if (header.rows > (file_bytes - Header::kBytes) / (header.row_bytes + kWord)) {
    input.malformed("it is cut off: it should hold " + std::to_string(header.rows) + " rows");
  }
  if (header.rows > kMaxRows) input.refuse(Code::kUnsupported, "it has too many rows");
  const bool empty = header.rows == 0;
  if (empty ? header.max_level != -1 : header.max_level < 0 || header.entry_row >= header.rows) {
    input.malformed("its entry leads nowhere");
  }
  if (header.max_level > static_cast<std::int32_t>(HnswGraph::kMaxLevel)) {
    input.refuse(Code::kUnsupported, "it has " + std::to_string(header.max_level) + " levels");
  }
  return header;
}

[[noreturn]] void link_leads_nowhere(const Input& input, std::size_t row, std::size_t level) {
  input.malformed("a link of row " + std::to_string(row) + " on level " + std::to_string(level) +
                  " leads nowhere");
}

// Copies the links of a raw list (link word, slots) to a list of unused slots. What hnswlib has in
// slots behind the last link means nothing.
void take_list(const Input& input, const std::vector<std::uint32_t>& raw, std::size_t count,
               const HnswlibGraph& graph, std::size_t row, std::size_t level, std::uint32_t* list) {
  for (std::size_t i = 0; i < count; ++i) {
    if (raw[1 + i] >= graph.rows) link_leads_nowhere(input, row, level);
    list[i] = raw[1 + i];
  }
}

void read_rows(Input& input, HnswlibGraph& graph) {
  const std::size_t rows = graph.rows;
  graph.vectors.resize(rows * graph.dim);
  graph.labels.resize(rows, 0);
  graph.deleted.resize(rows);
  graph.base.resize(rows * graph.max_m0, kNoRow);
  std::vector<std::uint32_t> raw(1 + graph.max_m0);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto where = [row] { return "row " + std::to_string(row) + ": "; };
    input.read(raw.data(), raw.size() * kWord);
    const std::size_t count = raw[0] & kCountMask;
    if ((raw[0] & ~(kCountMask | kDeletedBit)) != 0 || count > graph.max_m0) {
      input.malformed(where() + "its number of links is damaged");
    }
    graph.deleted[row] = (raw[0] & kDeletedBit) != 0 ? 1 : 0;
    take_list(input, raw, count, graph, row, 0, graph.base.data() + row * graph.max_m0);
    float* const vector = graph.vectors.data() + row * graph.dim;
    input.read(vector, graph.dim * sizeof(float));
    if (!std::all_of(vector, vector + graph.dim,
                     [](float value) { return std::isfinite(value); })) {
      input.refuse(Code::kNotFinite, where() + "a value is not finite");
    }
    std::uint64_t label;
    input.read(&label, sizeof label);
    if (label > kMostLabel) {
      input.refuse(Code::kUnsupported,
                   where() + "its label " + std::to_string(label) + " is above 2^53 - 1");
    }
    graph.labels[row] = static_cast<std::int64_t>(label);
  }
  std::vector<std::int64_t> sorted(graph.labels.data(), graph.labels.data() + rows);
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) input.malformed("two rows have label " + std::to_string(*twice));
}

void read_upper_lists(Input& input, HnswlibGraph& graph) {
  const std::size_t list_bytes = kWord * (1 + graph.m);
  std::vector<std::uint32_t> raw(1 + graph.m);
  graph.levels.resize(graph.rows, 0);
  std::size_t lists = 0;
  for (std::size_t row = 0; row < graph.rows; ++row) {
    const std::uint32_t bytes = input.read_word();
    const std::size_t level = bytes / list_bytes;
    if (bytes % list_bytes != 0 || level > graph.max_level || bytes > input.left()) {
      input.malformed("row " + std::to_string(row) + ": the size of its upper links is damaged");
    }
    graph.levels[row] = static_cast<std::uint8_t>(level);
    // Grows no further than the file goes.
    graph.upper.resize((lists + level) * graph.m, kNoRow);
    for (std::size_t l = 1; l <= level; ++l, ++lists) {
      input.read(raw.data(), list_bytes);
      if (raw[0] > graph.m) {
        input.malformed("row " + std::to_string(row) + ": its number of upper links is damaged");
      }
      take_list(input, raw, raw[0], graph, row, l, graph.upper.data() + lists * graph.m);
    }
  }
  if (input.left() != 0) {
    input.malformed(std::to_string(input.left()) + " bytes follow its end");
  }
}

// Checks where links lead and takes out those that are of no use.
class LinkCheck {
 public:
  LinkCheck(const Input& input, const HnswlibGraph& graph)
      : input_(input), graph_(graph), seen_(graph.rows) {}

  void check(std::size_t row, std::size_t level, std::uint32_t* list, std::size_t capacity) {
    std::size_t kept = 0;
    seen_[row] = 1;
    for (std::size_t i = 0; i < capacity && list[i] != kNoRow; ++i) {
      const std::uint32_t link = list[i];
      if (graph_.levels[link] < level) link_leads_nowhere(input_, row, level);
      if (seen_[link] != 0) continue;
      seen_[link] = 1;
      list[kept++] = link;
    }
    seen_[row] = 0;
    for (std::size_t i = 0; i < kept; ++i) seen_[list[i]] = 0;
    std::fill(list + kept, list + capacity, kNoRow);
  }

 private:
  const Input& input_;
  const HnswlibGraph& graph_;
  std::vector<std::uint8_t> seen_;  // of the list at hand
};

void check_links(const Input& input, HnswlibGraph& graph) {
  if (graph.rows > 0 && graph.levels[graph.entry_row] != graph.max_level) {
    input.malformed("its entry is not on the greatest level");
  }
  LinkCheck links(input, graph);
  std::uint32_t* upper = graph.upper.data();
  for (std::size_t row = 0; row < graph.rows; ++row) {
    links.check(row, 0, graph.base.data() + row * graph.max_m0, graph.max_m0);
    for (std::size_t level = 1; level <= graph.levels[row]; ++level, upper += graph.m) {
      links.check(row, level, upper, graph.m);
    }
  }
}

}  // namespace

HnswlibGraph read_hnswlib(const std::string& path, std::size_t dim) {
  if (dim == 0 || dim > kMaxDim) {
    throw Error(Code::kArgument, "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " +
                                     std::to_string(dim));
  }
  Input input(path);
  const Header header = read_header(input, dim);
  HnswlibGraph graph;
  graph.dim = dim;
  graph.rows = header.rows;
  graph.m = header.m;
  graph.max_m0 = header.max_m0;
  graph.ef_construction = header.ef_construction;
  graph.capacity = header.capacity;
  if (graph.rows > 0) {
    graph.entry_row = header.entry_row;
    graph.max_level = static_cast<std::size_t>(header.max_level);
  }
  read_rows(input, graph);
  read_upper_lists(input, graph);
  check_links(input, graph);
  return graph;
}

}  // namespace lichen
