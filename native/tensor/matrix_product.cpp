#include "tensor/matrix_product.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/kernels.hpp"
#include "runtime/aligned.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {
namespace {

constexpr std::size_t kDepthBlock = 256;    // sums are kept in registers so long
constexpr std::size_t kColumnBlock = 256;   // so many columns of b, kDepthBlock deep, fit the L2
constexpr std::size_t kMostRowBlock = 128;  // rows a turn
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

// b in slivers of product_columns columns. Sliver s of the block of depth from k on begins at
// (k × slivers + s × depth of the block) × product_columns; packed slivers have room beyond.
class Panels {
 public:
  Panels(const Job& job, AlignedBuffer<float>& memory) : job_(job) {
    const std::size_t width = job.kernels.tensor.product_columns;
    slivers_ = (job.product.columns + width - 1) / width;
    const std::size_t depth = job.product.depth;
    packs_all_ = job.product.transpose_b || job.product.rows > kUnpackedRows;
    packed_depth_ = 0;
    for (std::size_t k = 0; k < depth; k += kDepthBlock) {
      packed_depth_ += round_up(std::min(kDepthBlock, depth - k), kPackUnit);
    }
    const bool packs_last = job.product.columns % width != 0;
    first_packed_ = packs_all_ ? 0 : slivers_ - (packs_last ? 1 : 0);
    const std::size_t wanted = (slivers_ - first_packed_) * packed_depth_ * width;
    memory.reserve(wanted);
    packed_ = memory.data();
  }

  std::size_t first_packed() const { return first_packed_; }
  std::size_t slivers() const { return slivers_; }

  void pack(std::size_t sliver) const {
    const Job& job = job_;
    const std::size_t width = job.kernels.tensor.product_columns;
    const std::size_t first = sliver * width;
    const std::size_t columns = std::min(width, job.product.columns - first);
    const std::size_t step = job.b_step();
    for (std::size_t k = 0; k < job.product.depth; k += kDepthBlock) {
      const std::size_t depth = std::min(kDepthBlock, job.product.depth - k);
      float* const out = packed_at(sliver, k);
      if (job.product.transpose_b) {
        job.kernels.tensor.product_pack(job.b + first * step + k, step, columns, depth, out);
        continue;
      }
      const float* const from = job.b + k * step + first;
      for (std::size_t d = 0; d < depth; ++d) {
        std::memcpy(out + d * width, from + d * step, columns * sizeof(float));
        std::fill(out + d * width + columns, out + (d + 1) * width, 0.0f);
      }
    }
  }

  // Row k of a sliver, and the step to the next row.
  void set(ProductTile& tile, std::size_t sliver, std::size_t k) const {
    const std::size_t width = job_.kernels.tensor.product_columns;
    const bool packed = sliver >= first_packed_;
    tile.b = packed ? packed_at(sliver, k) : job_.b + k * job_.b_step() + sliver * width;
    tile.b_step = packed ? width : job_.b_step();
  }

 private:
  float* packed_at(std::size_t sliver, std::size_t k) const {
    // Every block before has kDepthBlock rows, which is a multiple of kPackUnit.
    const std::size_t width = job_.kernels.tensor.product_columns;
    return packed_ + ((sliver - first_packed_) * packed_depth_ + k) * width;
  }

  const Job& job_;
  std::size_t slivers_;
  std::size_t packed_depth_;
  std::size_t first_packed_;
  bool packs_all_;
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

void multiply_block(const Job& job, const Panels& panels, std::size_t first_row, std::size_t rows,
                    std::size_t first_column, std::size_t columns) {
  const TensorKernels& kernels = job.kernels.tensor;
  const std::size_t width = kernels.product_columns;
  Scratch scratch(kept_rows);
  Rows lines(job, rows, columns, scratch.memory());
  for (std::size_t k = 0; k < job.product.depth; k += kDepthBlock) {
    ProductTile tile;
    tile.depth = std::min(kDepthBlock, job.product.depth - k);
    tile.adds = k > 0;
    tile.c_step = job.product.columns;
    lines.load(first_row, rows, k, tile.depth);
    for (std::size_t i = 0; i < rows; i += kernels.product_rows) {
      tile.rows = std::min(kernels.product_rows, rows - i);
      lines.set(tile, i);
      for (std::size_t j = 0; j < columns; j += width) {
        tile.columns = std::min(width, columns - j);
        panels.set(tile, (first_column + j) / width, k);
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

// `shares`: over the threads of the pool too.
void multiply_one(const Job& job, bool shares) {
  const MatrixProduct& product = job.product;
  Scratch scratch(kept_panels);
  const Panels panels(job, scratch.memory());
  const std::size_t to_pack = panels.slivers() - panels.first_packed();
  const auto pack = [&](std::size_t i) { panels.pack(panels.first_packed() + i); };
  const std::size_t threads = shares ? loop_threads() : 1;
  const std::size_t unit = job.kernels.tensor.product_rows;
  const std::size_t block =
      std::min(kMostRowBlock / unit * unit,
               round_up(std::max<std::size_t>(1, product.rows / (threads * kTurnsAThread)), unit));
  const std::size_t row_blocks = (product.rows + block - 1) / block;
  const std::size_t column_blocks = (product.columns + kColumnBlock - 1) / kColumnBlock;
  const auto multiply = [&](std::size_t turn) {
    const std::size_t row = turn % row_blocks * block;
    const std::size_t column = turn / row_blocks * kColumnBlock;
    multiply_block(job, panels, row, std::min(block, product.rows - row), column,
                   std::min(kColumnBlock, product.columns - column));
  };
  if (shares) {
    shared_loop(to_pack, pack);
    shared_loop(row_blocks * column_blocks, multiply);
    return;
  }
  for (std::size_t i = 0; i < to_pack; ++i) pack(i);
  for (std::size_t i = 0; i < row_blocks * column_blocks; ++i) multiply(i);
}

}  // namespace

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
