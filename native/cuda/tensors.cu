#include <climits>
#include <initializer_list>
#include <string>

#include "cuda/tensor_kernels.cuh"
#include "cuda/tensors.cuh"

namespace lichen::cuda {
namespace {

// What grids take: of x, and of y.
constexpr std::size_t kMostBlocks = INT_MAX;
constexpr std::size_t kMostBatch = 65535;
// Rows of no more columns are a warp's.
constexpr std::size_t kWarpColumns = 512;

std::size_t product_of(std::initializer_list<std::size_t> sizes) {
  std::size_t product = 1;
  for (const std::size_t size : sizes) {
    if (size != 0 && product > SIZE_MAX / sizeof(float) / size) {
      throw Failure(LICHEN_CUDA_ARGUMENT, "no tensor has so many values");
    }
    product *= size;
  }
  return product;
}

void require_length(const LichenCudaTensor& tensor, std::size_t length, const char* name) {
  if (tensor.length >= length) return;
  throw Failure(LICHEN_CUDA_ARGUMENT, std::string(name) + " must have " + std::to_string(length) +
                                          " values or more, got " + std::to_string(tensor.length));
}

void require_most(std::size_t size, std::size_t most, const char* what) {
  if (size > most)
    throw Failure(LICHEN_CUDA_UNSUPPORTED, std::string(what) + ": too many for the kernels");
}

void require_same_device(const LichenCudaTensor& a, const LichenCudaTensor& b) {
  if (a.device != b.device)
    throw Failure(LICHEN_CUDA_ARGUMENT, "tensors must be on the same device");
}

// The last value that a batch of matrices reaches, and one more.
std::size_t reach_of(std::size_t batch, std::size_t stride, std::size_t size) {
  const std::size_t before = product_of({batch - 1, stride});
  product_of({before + size});
  return before + size;
}

struct Operands {
  ProductOperand a, b;
  ProductResult c;
  std::size_t batch;
};

template <unsigned kSide, bool kAByDepth, bool kBByDepth>
void launch_product(Operands product, std::size_t tiles, Stream stream) {
  using Tile = ProductTile<kSide>;
  const std::size_t c_each = static_cast<std::size_t>(product.c.rows) * product.c.columns;
  for (std::size_t first = 0; first < product.batch; first += kMostBatch) {
    const std::size_t count = std::min(kMostBatch, product.batch - first);
    Operands part = product;
    part.a.values += first * part.a.batch_stride;
    part.b.values += first * part.b.batch_stride;
    part.c.values += first * c_each;
    const auto kernel = multiply_tiles<kSide, kAByDepth, kBByDepth>;
    LICHEN_LAUNCH(kernel, dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(count)),
                  Tile::kThreads, Tile::kSharedBytes, stream, part.a, part.b, part.c);
    check_launch();
  }
}

std::size_t tiles_of(const ProductResult& c, std::size_t side, std::size_t& down) {
  down = (c.rows + side - 1) / side;
  return down * ((c.columns + side - 1) / side);
}

template <unsigned kSide>
void launch_tiles(Operands product, bool a_by_depth, bool b_by_depth, Stream stream) {
  std::size_t down = 0;
  const std::size_t tiles = tiles_of(product.c, kSide, down);
  require_most(tiles, kMostBlocks, "tiles of a product");
  product.c.tiles_down = static_cast<unsigned>(down);
  if (a_by_depth) {
    b_by_depth ? launch_product<kSide, true, true>(product, tiles, stream)
               : launch_product<kSide, true, false>(product, tiles, stream);
  } else {
    b_by_depth ? launch_product<kSide, false, true>(product, tiles, stream)
               : launch_product<kSide, false, false>(product, tiles, stream);
  }
}

}  // namespace

void multiply(const LichenCudaProduct& product) {
  if (product.a == nullptr || product.b == nullptr || product.c == nullptr) {
    throw Failure(LICHEN_CUDA_ARGUMENT, "a product needs a, b and c");
  }
  const LichenCudaTensor& a = *product.a;
  const LichenCudaTensor& b = *product.b;
  LichenCudaTensor& c = *product.c;
  require_same_device(a, c);
  require_same_device(b, c);
  if (&c == &a || &c == &b)
    throw Failure(LICHEN_CUDA_ARGUMENT, "c must be another tensor than a and b");
  std::size_t batch = product.batch, m = product.m;
  const std::size_t n = product.n, k = product.k;
  const std::size_t c_size = product_of({batch, m, n});
  require_length(c, c_size, "c");
  if (c_size == 0) return;
  use_device(c.device);
  const OwnStream stream;
  if (k == 0) {
    fill(c.values.get(), 0, c_size * sizeof(float), stream);
    wait_for(stream);
    return;
  }
  require_length(a, reach_of(batch, product.a_stride, product_of({m, k})), "a");
  require_length(b, reach_of(batch, product.b_stride, product_of({k, n})), "b");
  const bool transposes_a = product.transpose_a != 0, transposes_b = product.transpose_b != 0;
  // Matrices that lie behind each other are one, where all meet the same one.
  if (product.b_stride == 0 && product.a_stride == m * k && !transposes_a) {
    m *= batch;
    batch = 1;
  }
  require_most(m, INT_MAX, "rows");
  require_most(n, INT_MAX, "columns");
  require_most(k, INT_MAX, "depth");
  const auto operand = [](const LichenCudaTensor& of, std::size_t stride, std::size_t extent,
                          std::size_t step) {
    return ProductOperand{of.values.get(), stride, static_cast<unsigned>(extent), step,
                          step % 4 == 0 && stride % 4 == 0};
  };
  const Operands operands{operand(a, product.a_stride, m, transposes_a ? m : k),
                          operand(b, product.b_stride, n, transposes_b ? k : n),
                          {c.values.get(), static_cast<unsigned>(m), static_cast<unsigned>(n),
                           static_cast<unsigned>(k), 0},
                          batch};
  std::size_t down = 0;
  // Large tiles read less, small ones keep all multiprocessors at work.
  const std::size_t large_tiles = tiles_of(operands.c, 128, down) * std::min(batch, kMostBatch);
  if (large_tiles >= static_cast<std::size_t>(multiprocessors(c.device))) {
    launch_tiles<128>(operands, transposes_a, !transposes_b, stream);
  } else {
    launch_tiles<64>(operands, transposes_a, !transposes_b, stream);
  }
  wait_for(stream);
}

void soften(const LichenCudaTensor& in, LichenCudaTensor& out, std::size_t rows,
            std::size_t columns) {
  require_same_device(in, out);
  const std::size_t size = product_of({rows, columns});
  require_length(in, size, "in");
  require_length(out, size, "out");
  if (size == 0) return;
  require_most(rows, kMostBlocks, "rows");
  use_device(out.device);
  const OwnStream stream;
  if (columns > kWarpColumns) {
    LICHEN_LAUNCH(soften_rows<true>, dim3(static_cast<unsigned>(rows)), kSoftmaxThreads,
                  kSoftmaxWarps * sizeof(float), stream, in.values.get(), out.values.get(), rows,
                  columns);
  } else {
    const std::size_t blocks = (rows + kSoftmaxWarps - 1) / kSoftmaxWarps;
    LICHEN_LAUNCH(soften_rows<false>, dim3(static_cast<unsigned>(blocks)), kSoftmaxThreads, 0,
                  stream, in.values.get(), out.values.get(), rows, columns);
  }
  check_launch();
  wait_for(stream);
}

void find_largest(const LichenCudaTensor& in, std::size_t rows, std::size_t columns, std::size_t k,
                  float* values, std::int32_t* indices) {
  require_length(in, product_of({rows, columns}), "in");
  if (k > columns) throw Failure(LICHEN_CUDA_ARGUMENT, "k must be at most the columns");
  const std::size_t size = product_of({rows, k});
  if (size == 0) return;
  require_most(k, kMostLargest, "k");
  require_most(rows, kMostBlocks, "rows");
  require_most(columns, INT_MAX, "columns");
  use_device(in.device);
  const OwnStream stream;
  // One piece, since taking and giving back memory makes the device wait: the values, then the
  // places.
  const DeviceBuffer<float> found(2 * size);
  auto* const places = reinterpret_cast<std::int32_t*>(found.get() + size);
  unsigned keys = 2;
  while (keys < columns && keys < kMostLargestKeys) keys *= 2;
  LICHEN_LAUNCH(find_largest_of_rows, dim3(static_cast<unsigned>(rows)), kLargestThreads,
                keys * sizeof(unsigned long long) + sizeof(unsigned), stream, in.values.get(),
                static_cast<unsigned>(columns), static_cast<unsigned>(k), keys, found.get(),
                places);
  check_launch();
  copy_to_host(values, found.get(), size * sizeof(float), stream);
  copy_to_host(indices, places, size * sizeof(std::int32_t), stream);
  wait_for(stream);
}

}  // namespace lichen::cuda

void LichenCudaTensor::put(const float* from) {
  if (length == 0) return;
  lichen::cuda::use_device(device);
  const lichen::cuda::OwnStream stream;
  lichen::cuda::copy_to_device(values.get(), from, length * sizeof(float), stream);
  lichen::cuda::wait_for(stream);
}

void LichenCudaTensor::get(float* to) const {
  if (length == 0) return;
  lichen::cuda::use_device(device);
  const lichen::cuda::OwnStream stream;
  lichen::cuda::copy_to_host(to, values.get(), length * sizeof(float), stream);
  lichen::cuda::wait_for(stream);
}
