#include "cuda/device_rows.cuh"
#include "cuda/search_batch.cuh"

namespace lichen::cuda {
namespace {

// A device that fails to hold what was asked for may hold less.
constexpr double kLess = 0.8;
constexpr std::size_t kMostRowBytes = std::size_t{1} << 20;

}  // namespace

DeviceRows::DeviceRows(const LichenCudaSpec& spec, std::size_t most_bytes)
    : spec_(spec), most_bytes_(most_bytes) {
  const bool is_known =
      is_float(spec.type) || spec.type == LICHEN_CUDA_I8 || spec.type == LICHEN_CUDA_B1;
  const std::size_t unit = spec.type == LICHEN_CUDA_B1 ? 8 : 16;
  if (!is_known || spec.dim == 0 || spec.row_bytes == 0 || spec.row_bytes % unit != 0 ||
      spec.row_bytes > kMostRowBytes) {
    throw Failure(LICHEN_CUDA_UNSUPPORTED, "rows of this type or length are not for the device");
  }
  require_device(spec.device);
  multiprocessors_ = multiprocessors(spec.device);
}

std::size_t DeviceRows::row_cost(const LichenCudaSource& source) const {
  const bool squares = source.squares != nullptr || squares_are_made();
  return spec_.row_bytes +
         sizeof(float) * ((source.scales != nullptr) + (source.offsets != nullptr) + squares);
}

void DeviceRows::allocate(const LichenCudaSource& source, std::size_t rows,
                          RowBuffers& buffers) const {
  buffers.codes.fit(rows * spec_.row_bytes);
  if (source.scales != nullptr) buffers.scales.fit(rows);
  if (source.offsets != nullptr) buffers.offsets.fit(rows);
  if (source.squares != nullptr || squares_are_made()) buffers.squares.fit(rows);
}

void DeviceRows::make_room(const LichenCudaSource& source, std::size_t rows) {
  const bool grows = room_ > 0;
  room_ = 0;
  buffers_.clear();
  const std::size_t cost = row_cost(source);
  const std::size_t free =
      static_cast<std::size_t>(kFreeShare * static_cast<double>(free_memory(spec_.device)));
  const std::size_t most = (most_bytes_ > 0 ? std::min(most_bytes_, free) : free) / cost;
  // What grows grows again.
  std::size_t room = std::min(most, grows ? rows + rows / 2 : rows);
  full_ = most < rows;
  while (room > 0) {
    try {
      allocate(source, room, buffers_);
      break;
    } catch (const Failure& failure) {
      if (failure.status != LICHEN_CUDA_MEMORY) throw;
      buffers_.clear();
      room = static_cast<std::size_t>(kLess * static_cast<double>(room));
      full_ = room < rows;
    }
  }
  room_ = room;
}

void DeviceRows::copy(const LichenCudaSource& source, std::size_t first, std::size_t count,
                      RowBuffers& to, std::size_t at, Stream stream) const {
  const std::size_t piece = std::max<std::size_t>(1, kCopiedBytes / spec_.row_bytes);
  for (std::size_t done = 0; done < count; done += piece) {
    const std::size_t here = std::min(piece, count - done);
    const std::size_t from = first + done, place = at + done;
    copy_to_device(to.codes.get() + place * spec_.row_bytes, source.codes + from * spec_.row_bytes,
                   here * spec_.row_bytes, stream);
    const auto factors = [&](const float* values, DeviceBuffer<float>& buffer) {
      if (values != nullptr)
        copy_to_device(buffer.get() + place, values + from, here * sizeof(float), stream);
    };
    factors(source.scales, to.scales);
    factors(source.offsets, to.offsets);
    factors(source.squares, to.squares);
    if (squares_are_made()) {
      const unsigned blocks = static_cast<unsigned>((here * kLanes + kThreads - 1) / kThreads);
      LICHEN_LAUNCH(square_rows, blocks, kThreads, 0, stream,
                    to.codes.get() + place * spec_.row_bytes, spec_.row_bytes,
                    static_cast<unsigned>(here), static_cast<unsigned>(spec_.dim), spec_.type,
                    to.squares.get() + place);
      check_launch();
    }
  }
}

void DeviceRows::put(const LichenCudaSource& source, std::size_t first, std::size_t count) {
  if (first > rows_ || source.codes == nullptr)
    throw Failure(LICHEN_CUDA_ARGUMENT, "rows must follow one another");
  use_device(spec_.device);
  std::size_t from = first;
  rows_ = first;
  const std::size_t rows = first + count;
  if (rows > room_ && !full_) {
    rows_ = 0;
    make_room(source, rows);
    from = 0;
  }
  if (from < std::min(rows, room_)) {
    const OwnStream stream;
    copy(source, from, std::min(rows, room_) - from, buffers_, from, stream);
    wait_for(stream);
  }
  rows_ = rows;
}

void DeviceRows::truncate(std::size_t count) {
  rows_ = std::min(rows_, count);
  if (rows_ > 0) return;
  // What comes may be of another kind, and have factors that this had not.
  use_device(spec_.device);
  buffers_.clear();
  room_ = 0;
  full_ = false;
}

void DeviceRows::search(const LichenCudaSearch& search) {
  if (search.rows > rows_ || search.k == 0 || search.source.codes == nullptr) {
    throw Failure(LICHEN_CUDA_ARGUMENT, "a search is of at least one of the rows that are there");
  }
  use_device(spec_.device);
  Turn turn(*this);
  Batch batch(*this, *turn, search);
  for (std::size_t first = 0; first < search.count; first += batch.most_queries()) {
    batch.run(first, std::min<std::size_t>(batch.most_queries(), search.count - first));
  }
}

}  // namespace lichen::cuda
