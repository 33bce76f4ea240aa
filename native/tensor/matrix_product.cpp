#include "tensor/matrix_product.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/kernels.hpp"
#include "runtime/aligned.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {
namespace {

constexpr std::size_t kDepthBlock = 256;       // sums are kept in registers so long
constexpr std::size_t kMostColumnBlock = 256;  // so many columns of b, kDepthBlock deep, fit the L2
constexpr std::size_t kMostRowBlock = 128;     // rows a turn
constexpr std::size_t kTurnsAThread = 4;
// Below so many multiplications another thread would wake too late.
constexpr double kLeastShared = 4e6;
// Of so few rows of c, b is read too seldom for packing to pay.
constexpr std::size_t kUnpackedRows = 16;

// One matrix of the batch.
struct Job {
  const MatrixProduct& product;
  const Kernels& kernels;
  const float* a;
  const float* b;
  float* c;

  std::size_t a_step() const { return product.transpose_a ? product.rows : product.depth; }
  std::size_t b_step() const { return product.transpose_b ? product.depth : product.columns; }
};

// Packs slivers of product_columns columns of b, `depth` deep from row k on, `step` floats from one
// to the next: each [depth][width], with room for as many rows as the next multiple of kPackUnit.
void pack_slivers(const Job& job, std::size_t first, std::size_t count, std::size_t k,
                  std::size_t depth, float* out, std::size_t step) {
  const std::size_t width = job.kernels.tensor.product_columns;
  const auto columns_of = [&](std::size_t sliver) {
    return std::min(width, job.product.columns - sliver * width);
  };
  if (job.product.transpose_b) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t column = (first + i) * width;
      job.kernels.tensor.product_pack(job.b + column * job.b_step() + k, job.b_step(),
                                      columns_of(first + i), depth, out + i * step);
    }
    return;
  }
  // A row through all slivers at a time: memory is read in order.
  for (std::size_t d = 0; d < depth; ++d) {
    const float* from = job.b + (k + d) * job.b_step() + first * width;
    for (std::size_t i = 0; i < count; ++i, from += width) {
      float* const to = out + i * step + d * width;
      const std::size_t columns = columns_of(first + i);
      std::memcpy(to, from, columns * sizeof(float));
      std::fill(to + columns, to + width, 0.0f);
    }
  }
}

// All of b in slivers, for blocks of rows to share.
class Panels {
 public:
  Panels(const Job& job, AlignedBuffer<float>& memory) : job_(job) {
    const std::size_t width = job.kernels.tensor.product_columns;
    slivers_ = (job.product.columns + width - 1) / width;
    packed_depth_ = round_up(job.product.depth, kPackUnit);
    memory.reserve(slivers_ * packed_depth_ * width);
    packed_ = memory.data();
  }

  std::size_t groups() const { return (slivers_ + kGroup - 1) / kGroup; }

  // Packs a group of slivers.
  void pack(std::size_t group) const {
    const std::size_t width = job_.kernels.tensor.product_columns;
    const std::size_t first = group * kGroup;
    const std::size_t count = std::min(kGroup, slivers_ - first);
    for (std::size_t k = 0; k < job_.product.depth; k += kDepthBlock) {
      const std::size_t depth = std::min(kDepthBlock, job_.product.depth - k);
      pack_slivers(job_, first, count, k, depth, at(first, k), packed_depth_ * width);
    }
  }

  // kDepthBlock is a multiple of kPackUnit: the room beyond a block is that of the last alone.
  float* at(std::size_t sliver, std::size_t k) const {
    return packed_ + (sliver * packed_depth_ + k) * job_.kernels.tensor.product_columns;
  }

 private:
  static constexpr std::size_t kGroup = 8;

  const Job& job_;
  std::size_t slivers_;
  std::size_t packed_depth_;
  float* packed_;
};

// Memory of this thread for what it packs. Large pieces are given back at once.
class Scratch {
 public:
  explicit Scratch(AlignedBuffer<float>& kept) : kept_(kept) {}
  ~Scratch() {
    if (kept_.bytes() > kMostKept) kept_ = AlignedBuffer<float>();
  }
  AlignedBuffer<float>& memory() { return kept_; }

 private:
  static constexpr std::size_t kMostKept = std::size_t{32} << 20;
  AlignedBuffer<float>& kept_;
};

thread_local AlignedBuffer<float> kept_panels;
thread_local AlignedBuffer<float> kept_slivers;
thread_local AlignedBuffer<float> kept_rows;

void finish_rows(const Job& job, std::size_t first_row, std::size_t rows, std::size_t first_column,
                 std::size_t columns) {
  const MatrixProduct& product = job.product;
  const TensorKernels& kernels = job.kernels.tensor;
  const auto unary = [&](Unary operation, float* row) {
    kernels.unary[static_cast<std::size_t>(operation)](row, columns, product.slope, 0.0f, row);
  };
  for (std::size_t i = 0; i < rows; ++i) {
    float* const row = job.c + (first_row + i) * product.columns + first_column;
    if (product.alpha != 1.0f) {
      kernels.binary[static_cast<std::size_t>(Binary::kMultiply)](row, 1, &product.alpha, 0,
                                                                  columns, row);
    }
    if (product.bias != nullptr) {
      kernels.binary[static_cast<std::size_t>(Binary::kAdd)](row, 1, product.bias + first_column, 1,
                                                             columns, row);
    }
    switch (product.activation) {
      case Activation::kNone:
        break;
      case Activation::kRelu:
        unary(Unary::kRelu, row);
        break;
      case Activation::kRelu6:
        unary(Unary::kRelu6, row);
        break;
      case Activation::kSigmoid:
        unary(Unary::kSigmoid, row);
        break;
      case Activation::kTanh:
        unary(Unary::kTanh, row);
        break;
      case Activation::kElu:
        unary(Unary::kElu, row);
        break;
      case Activation::kLeakyRelu:
        unary(Unary::kLeakyRelu, row);
        break;
    }
  }
}

// Rows of op(a) for the tiles of a block: copies, since rows a power of two apart share few sets of
// the cache. Not where they are read but once or twice.
class Rows {
 public:
  Rows(const Job& job, std::size_t rows, std::size_t columns, AlignedBuffer<float>& memory)
      : job_(job), unit_(job.kernels.tensor.product_rows) {
    copies_ = job.product.transpose_a || columns > kReadTwice * job.kernels.tensor.product_columns;
    if (!copies_) return;
    memory.reserve(round_up(rows, unit_) * kRowStep);
    copy_ = memory.data();
  }

  void load(std::size_t first, std::size_t rows, std::size_t k, std::size_t depth) {
    from_ = job_.product.transpose_a ? job_.a + k * job_.a_step() + first
                                     : job_.a + first * job_.a_step() + k;
    if (!copies_) return;
    if (!job_.product.transpose_a) {
      for (std::size_t i = 0; i < rows; ++i) {
        std::memcpy(copy_ + i * kRowStep, from_ + i * job_.a_step(), depth * sizeof(float));
      }
      return;
    }
    const std::size_t whole = rows / unit_ * unit_;
    for (std::size_t d = 0; d < depth; ++d) {
      const float* const from = from_ + d * job_.a_step();
      float* const to = copy_ + d * unit_;
      switch (unit_) {  // lengths that the compiler knows
        case 8:
          copy_row<8>(from, whole, to);
          break;
        case 6:
          copy_row<6>(from, whole, to);
          break;
        default:
          copy_row<2>(from, whole, to);
          break;
      }
      for (std::size_t i = whole; i < rows; ++i) to[whole * kRowStep + i - whole] = from[i];
    }
  }

  // Row i of those loaded, and the next ones.
  void set(ProductTile& tile, std::size_t i) const {
    tile.a_by_rows = !job_.product.transpose_a;
    if (copies_) {
      tile.a = copy_ + i * kRowStep;
      tile.a_step = tile.a_by_rows ? kRowStep : unit_;
    } else {
      tile.a = from_ + i * job_.a_step();
      tile.a_step = job_.a_step();
    }
  }

 private:
  static constexpr std::size_t kReadTwice = 2;
  static constexpr std::size_t kRowStep = kDepthBlock + 16;  // no power of two

  template <std::size_t kUnit>
  static void copy_row(const float* from, std::size_t count, float* to) {
    static_assert(kUnit == 8 || kUnit == 6 || kUnit == 2);
    for (std::size_t i = 0; i < count; i += kUnit) {
      std::memcpy(to + i * kRowStep, from + i, kUnit * sizeof(float));
    }
  }

  const Job& job_;
  std::size_t unit_;
  bool copies_;
  float* copy_ = nullptr;
  const float* from_ = nullptr;
};

// Slivers of b that are packed for one block, a part of the depth after the other; or not at all
// where they are read as they lie.
class Slivers {
 public:
  Slivers(const Job& job, const Panels* panels, AlignedBuffer<float>& memory)
      : job_(job),
        panels_(panels),
        memory_(memory),
        reads_b_(!job.product.transpose_b && job.product.rows <= kUnpackedRows) {
    if (panels == nullptr) memory.reserve(kMostColumnBlock * kDepthBlock);
  }

  void load(std::size_t first, std::size_t count, std::size_t k, std::size_t depth) {
    first_ = first;
    k_ = k;
    if (panels_ != nullptr) return;
    const std::size_t step = kDepthBlock * job_.kernels.tensor.product_columns;
    if (!reads_b_) {
      pack_slivers(job_, first, count, k, depth, packed(first), step);
    } else if (packs(first + count - 1)) {
      pack_slivers(job_, first + count - 1, 1, k, depth, packed(first + count - 1), step);
    }
  }

  void set(ProductTile& tile, std::size_t sliver) const {
    const std::size_t width = job_.kernels.tensor.product_columns;
    if (panels_ == nullptr && !packs(sliver)) {
      tile.b = job_.b + k_ * job_.b_step() + sliver * width;
      tile.b_step = job_.b_step();
      return;
    }
    tile.b = panels_ != nullptr ? panels_->at(sliver, k_) : packed(sliver);
    tile.b_step = width;
  }

 private:
  // Of a sliver that is not whole, what lies beyond would be read.
  bool packs(std::size_t sliver) const {
    return !reads_b_ || (sliver + 1) * job_.kernels.tensor.product_columns > job_.product.columns;
  }
  float* packed(std::size_t sliver) const {
    return memory_.data() + (sliver - first_) * kDepthBlock * job_.kernels.tensor.product_columns;
  }

  const Job& job_;
  const Panels* panels_;
  AlignedBuffer<float>& memory_;
  bool reads_b_;
  std::size_t first_ = 0;
  std::size_t k_ = 0;
};

// `panels` may be null: then the block packs what it needs.
void multiply_block(const Job& job, const Panels* panels, std::size_t first_row, std::size_t rows,
                    std::size_t first_column, std::size_t columns) {
  const TensorKernels& kernels = job.kernels.tensor;
  const std::size_t width = kernels.product_columns;
  Rows lines(job, rows, columns, kept_rows);
  Slivers slivers(job, panels, kept_slivers);
  for (std::size_t k = 0; k < job.product.depth; k += kDepthBlock) {
    ProductTile tile;
    tile.depth = std::min(kDepthBlock, job.product.depth - k);
    tile.adds = k > 0;
    tile.c_step = job.product.columns;
    lines.load(first_row, rows, k, tile.depth);
    slivers.load(first_column / width, (columns + width - 1) / width, k, tile.depth);
    for (std::size_t i = 0; i < rows; i += kernels.product_rows) {
      tile.rows = std::min(kernels.product_rows, rows - i);
      lines.set(tile, i);
      for (std::size_t j = 0; j < columns; j += width) {
        tile.columns = std::min(width, columns - j);
        slivers.set(tile, (first_column + j) / width);
        tile.c = job.c + (first_row + i) * job.product.columns + first_column + j;
        kernels.product_tile(tile);
      }
    }
  }
  if (job.product.depth == 0) {
    for (std::size_t i = 0; i < rows; ++i) {
      float* const row = job.c + (first_row + i) * job.product.columns + first_column;
      std::fill(row, row + columns, 0.0f);
    }
  }
  finish_rows(job, first_row, rows, first_column, columns);
}

// Calls turn(i) for i < turns, also on threads of the pool if `shares`.
template <class Turn>
void for_turns(std::size_t turns, bool shares, const Turn& turn) {
  if (shares) return shared_loop(turns, turn);
  for (std::size_t i = 0; i < turns; ++i) turn(i);
}

void multiply_one(const Job& job, bool shares) {
  const MatrixProduct& product = job.product;
  const TensorKernels& kernels = job.kernels.tensor;
  const std::size_t turns = shares ? loop_threads() * kTurnsAThread : 1;
  const auto share = [turns](std::size_t count, std::size_t unit, std::size_t most) {
    return std::min(most / unit * unit, round_up(std::max<std::size_t>(1, count / turns), unit));
  };
  // What only one block of rows needs is packed by the block that needs it, into its caches.
  const bool packs_alone = product.rows <= kMostRowBlock;
  const std::size_t row_block = packs_alone
                                    ? round_up(product.rows, kernels.product_rows)
                                    : share(product.rows, kernels.product_rows, kMostRowBlock);
  const std::size_t column_block =
      packs_alone && shares ? share(product.columns, kernels.product_columns, kMostColumnBlock)
                            : kMostColumnBlock;
  const std::size_t row_blocks = (product.rows + row_block - 1) / row_block;
  const std::size_t column_blocks = (product.columns + column_block - 1) / column_block;
  const auto multiply = [&](const Panels* panels) {
    for_turns(row_blocks * column_blocks, shares, [&](std::size_t turn) {
      const std::size_t row = turn % row_blocks * row_block;
      const std::size_t column = turn / row_blocks * column_block;
      multiply_block(job, panels, row, std::min(row_block, product.rows - row), column,
                     std::min(column_block, product.columns - column));
    });
  };
  if (packs_alone) return multiply(nullptr);
  Scratch scratch(kept_panels);
  const Panels panels(job, scratch.memory());
  for_turns(panels.groups(), shares, [&](std::size_t group) { panels.pack(group); });
  multiply(&panels);
}

}  // namespace

void multiply_matrices_alone(const MatrixProduct& product) {
  if (product.rows == 0 || product.columns == 0) return;
  multiply_one({product, kernels(), product.a, product.b, product.c}, false);
}

void multiply_matrices(const MatrixProduct& product) {
  if (product.rows == 0 || product.columns == 0) return;
  const Kernels& table = kernels();
  const auto multiply = [&](std::size_t i, bool shares) {
    const Job job{product, table, product.a + i * product.a_batch_step,
                  product.b + i * product.b_batch_step,
                  product.c + i * product.rows * product.columns};
    multiply_one(job, shares);
  };
  const double each = static_cast<double>(product.rows) * static_cast<double>(product.columns) *
                      static_cast<double>(product.depth);
  const bool by_matrix = product.batch >= 2 * loop_threads();
  if (by_matrix && each * static_cast<double>(product.batch) >= kLeastShared) {
    shared_ranges(product.batch, 1, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) multiply(i, false);
    });
    return;
  }
  for (std::size_t i = 0; i < product.batch; ++i) multiply(i, !by_matrix && each >= kLeastShared);
}

}  // namespace lichen
