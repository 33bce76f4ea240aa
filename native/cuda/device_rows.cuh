#pragma once
// Rows that lie on a device, as far as it has room, and the search among them.
//
// A search scores rows piece by piece. All of the first piece are candidates; each later piece has
// the limits that the pieces before it gave, and is as much larger as leaves room for what is then
// to be expected below them. Should rows lie so that more come than there is room for, the search
// begins anew with the limits that it ended with, which are far lower; so no order of rows makes it
// wrong, only slower. Rows that are not on the device are brought there piece by piece meanwhile.

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/memory.cuh"
#include "cuda/popcount_kernel.cuh"
#include "cuda/prepare_kernels.cuh"
#include "cuda/score_kernel.cuh"
#include "cuda/select_kernel.cuh"

namespace lichen::cuda {

inline constexpr std::size_t kMostKept = 4096;
inline constexpr std::size_t kLeastPlaces = 1024;
inline constexpr std::size_t kMostPlaces = 16384;
inline constexpr std::size_t kPlacesAKept = 16;
inline constexpr std::size_t kMostQueries = 4096;  // at a time
inline constexpr std::size_t kMostCandidateBytes = std::size_t{256} << 20;
inline constexpr std::size_t kMostResidentQueryBytes = 64 * 1024;  // of a tile
inline constexpr std::size_t kStreamedBytes = std::size_t{128} << 20;
inline constexpr std::size_t kCopiedBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMostWorkspaces = 4;
inline constexpr int kMostAttempts = 100;
inline constexpr double kFreeShare = 0.85;  // of free memory, for rows; the rest is for searches

inline bool is_float(int type) { return type <= LICHEN_CUDA_BF16; }

struct RowBuffers {
  DeviceBuffer<std::uint8_t> codes;
  DeviceBuffer<float> scales, offsets, squares;
  void clear() {
    codes.clear();
    scales.clear();
    offsets.clear();
    squares.clear();
  }
  std::size_t bytes() const {
    return codes.bytes() + scales.bytes() + offsets.bytes() + squares.bytes();
  }
};

// What a search needs beside the rows; one search at a time has it.
struct Workspace {
  OwnStream stream;
  DeviceBuffer<float> values, factors, constants;
  DeviceBuffer<std::uint8_t> query_codes, fetched, certain;
  DeviceBuffer<unsigned long long> planes, keys, limits, rough_limits;
  DeviceBuffer<unsigned> counts, bits, lost, errors;
  DeviceBuffer<LichenCudaHit> hits;
  RowBuffers streamed;
  PinnedBuffer host, results;
};

class DeviceRows {
 public:
  DeviceRows(const LichenCudaSpec& spec, std::size_t most_bytes);

  void put(const LichenCudaSource& source, std::size_t first, std::size_t count);
  void truncate(std::size_t count);
  std::size_t rows() const { return rows_; }
  std::size_t resident() const { return std::min(rows_, room_); }
  std::size_t bytes() const { return buffers_.bytes(); }
  void search(const LichenCudaSearch& search);

 private:
  class Turn;
  friend class Batch;

  std::size_t row_cost(const LichenCudaSource& source) const;
  void make_room(const LichenCudaSource& source, std::size_t rows);
  // Rows [first, first + count) of the source, to `at` of the buffers.
  void copy(const LichenCudaSource& source, std::size_t first, std::size_t count, RowBuffers& to,
            std::size_t at, Stream stream) const;
  void allocate(const LichenCudaSource& source, std::size_t rows, RowBuffers& buffers) const;
  bool squares_are_made() const { return is_float(spec_.type) && spec_.is_l2 != 0; }

  LichenCudaSpec spec_;
  std::size_t most_bytes_;
  std::size_t rows_ = 0;
  std::size_t room_ = 0;
  bool full_ = false;  // the device has no room for more
  RowBuffers buffers_;
  int multiprocessors_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Workspace>> idle_;
  std::size_t workspaces_ = 0;
};

// A workspace for as long as it lives.
class DeviceRows::Turn {
 public:
  explicit Turn(DeviceRows& rows) : rows_(rows) {
    std::unique_lock lock(rows.mutex_);
    rows.returned_.wait(lock,
                        [&] { return !rows.idle_.empty() || rows.workspaces_ < kMostWorkspaces; });
    if (!rows.idle_.empty()) {
      workspace_ = std::move(rows.idle_.back());
      rows.idle_.pop_back();
      return;
    }
    workspace_ = std::make_unique<Workspace>();
    ++rows.workspaces_;
  }
  ~Turn() {
    std::lock_guard lock(rows_.mutex_);
    rows_.idle_.push_back(std::move(workspace_));
    rows_.returned_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  Workspace& operator*() const { return *workspace_; }

 private:
  DeviceRows& rows_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace lichen::cuda
