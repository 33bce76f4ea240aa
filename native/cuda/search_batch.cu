#include "cuda/search_batch.cuh"

namespace lichen::cuda {
namespace {

constexpr std::size_t kFactors = 4;
constexpr unsigned kSelectThreads = 512;

std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Float types are scored roughly at first: so many more are scored anew.
std::size_t kept_for(std::size_t k, bool is_rough) {
  return is_rough ? k + std::max<std::size_t>(16, k / 4) : k;
}

}  // namespace

Batch::Batch(DeviceRows& rows, Workspace& workspace, const LichenCudaSearch& search)
    : rows_(rows), space_(workspace), search_(search), spec_(rows.spec_) {
  keep_ = std::min<std::size_t>(kept_for(search.k, is_float(spec_.type)),
                                std::max<std::size_t>(1, search.rows));
  if (keep_ > kMostKept) throw Failure(LICHEN_CUDA_UNSUPPORTED, "k is too large for the device");
  std::size_t places = kLeastPlaces;
  while (places < kMostPlaces && places < kPlacesAKept * keep_) places *= 2;
  places_ = static_cast<unsigned>(places);
  most_queries_ =
      std::min(kMostQueries, kMostCandidateBytes / (places * sizeof(unsigned long long)));
  const std::size_t codes = spec_.type == LICHEN_CUDA_B1 ? 8 * spec_.row_bytes : spec_.row_bytes;
  query_bytes_ = round_up(codes, kSliceBytes);
  bring_bits();
}

void Batch::run(std::size_t first, std::size_t count) {
  count_ = static_cast<unsigned>(count);
  tile_ = count <= 16 ? 16 : count <= 64 ? 64 : 128;
  space_.keys.fit(count * places_);
  space_.counts.fit(count);
  space_.limits.fit(count);
  space_.lost.fit(1);
  space_.hits.fit(count * search_.k);
  bring_queries(first);
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    score_all(attempt > 0);
    if (is_float(spec_.type)) rescore_kept();
    if (give_results(first)) return;
  }
  throw Failure(LICHEN_CUDA_UNSUPPORTED, "too many rows are equally near");
}

bool Batch::give_results(std::size_t first) {
  const std::size_t hits = count_ * search_.k * sizeof(LichenCudaHit);
  const std::size_t counts = count_ * sizeof(std::uint32_t);
  LICHEN_LAUNCH(give_hits, count_, 128, 0, space_.stream, candidates(),
                static_cast<unsigned>(search_.k), space_.hits.get());
  check_launch();
  // By pinned memory, or each copy waits for the one before it.
  std::uint8_t* const host = space_.results.fit(hits + counts + sizeof(unsigned) + count_);
  std::uint8_t* const lost = host + hits + counts;
  std::uint8_t* const certain = lost + sizeof(unsigned);
  copy_to_host(host, space_.hits.get(), hits, space_.stream);
  copy_to_host(host + hits, space_.counts.get(), counts, space_.stream);
  copy_to_host(lost, space_.lost.get(), sizeof(unsigned), space_.stream);
  std::memset(certain, 1, count_);
  if (is_float(spec_.type)) copy_to_host(certain, space_.certain.get(), count_, space_.stream);
  wait_for(space_.stream);
  unsigned were_lost = 0;
  std::memcpy(&were_lost, lost, sizeof were_lost);
  if (were_lost != 0) return false;
  std::memcpy(search_.hits + first * search_.k, host, hits);
  std::memcpy(search_.counts + first, host + hits, counts);
  std::memcpy(search_.certain + first, certain, count_);
  return true;
}

void Batch::bring_bits() {
  if (search_.bits == nullptr) return;
  const std::size_t words = (search_.bits_bytes + 3) / 4;
  space_.bits.fit(std::max<std::size_t>(1, words));
  auto* const host =
      reinterpret_cast<unsigned*>(space_.host.fit(std::max<std::size_t>(4, words * 4)));
  host[words > 0 ? words - 1 : 0] = 0;
  std::memcpy(host, search_.bits, search_.bits_bytes);
  copy_to_device(space_.bits.get(), host, words * 4, space_.stream);
  // The same memory takes the queries.
  wait_for(space_.stream);
}

void Batch::bring_queries(std::size_t first) {
  const std::size_t padded = round_up(count_, tile_);
  const bool floats = is_float(spec_.type);
  space_.query_codes.fit(padded * query_bytes_);
  space_.factors.fit(kFactors * count_);
  const std::size_t factor_bytes = kFactors * count_ * sizeof(float);
  const std::size_t values = floats ? count_ * spec_.dim * sizeof(float) : padded * query_bytes_;
  std::uint8_t* const host = space_.host.fit(factor_bytes + values);
  auto* const factors = reinterpret_cast<float*>(host);
  const LichenCudaQuery* const queries = search_.queries + first;
  for (std::size_t q = 0; q < count_; ++q) {
    factors[q] = queries[q].base;
    factors[count_ + q] = queries[q].per_sum;
    factors[2 * count_ + q] = queries[q].per_row;
    factors[3 * count_ + q] = queries[q].per_offset;
  }
  copy_to_device(space_.factors.get(), factors, factor_bytes, space_.stream);
  if (floats) {
    space_.values.fit(count_ * spec_.dim);
    for (std::size_t q = 0; q < count_; ++q) {
      std::memcpy(host + factor_bytes + q * spec_.dim * sizeof(float), queries[q].values,
                  spec_.dim * sizeof(float));
    }
    copy_to_device(space_.values.get(), host + factor_bytes, values, space_.stream);
    LICHEN_LAUNCH(pack_queries, static_cast<unsigned>(padded), 128, 128, space_.stream,
                  space_.values.get(), static_cast<unsigned>(spec_.dim), count_, spec_.type,
                  spec_.is_l2 != 0 ? -2.0f : -1.0f, space_.query_codes.get(), query_bytes_,
                  space_.factors.get() + count_);
    check_launch();
    return;
  }
  std::memset(host + factor_bytes, 0, values);
  const std::size_t codes = spec_.type == LICHEN_CUDA_B1 ? 8 * spec_.row_bytes : spec_.row_bytes;
  for (std::size_t q = 0; q < count_; ++q) {
    std::memcpy(host + factor_bytes + q * query_bytes_, queries[q].bytes, codes);
  }
  copy_to_device(space_.query_codes.get(), host + factor_bytes, values, space_.stream);
  if (spec_.type != LICHEN_CUDA_B1 || count_ > kPopcountQueries) return;
  const unsigned words = static_cast<unsigned>(spec_.row_bytes / 8);
  space_.planes.fit(count_ * 4 * words);
  LICHEN_LAUNCH(pack_planes, (count_ * 4 * words + 127) / 128, 128, 0, space_.stream,
                space_.query_codes.get(), query_bytes_, count_, words, space_.planes.get());
  check_launch();
}

void Batch::score_all(bool again) {
  const std::size_t resident = std::min<std::size_t>(search_.rows, rows_.resident());
  const std::size_t ratio = std::max<std::size_t>(1, places_ / (2 * keep_));
  const std::size_t streamed = std::max<std::size_t>(kTileRows, kStreamedBytes / spec_.row_bytes);
  std::size_t first_piece = std::min<std::size_t>(places_, search_.rows);
  first_piece = std::min(first_piece, resident > 0 ? resident : streamed);
  LICHEN_LAUNCH(begin_candidates, (count_ + 127) / 128, 128, 0, space_.stream, candidates(), count_,
                static_cast<unsigned>(first_piece), again);
  check_launch();
  fill(space_.lost.get(), 0, sizeof(unsigned), space_.stream);
  fill(space_.keys.get(), 0xFF, count_ * places_ * sizeof(unsigned long long), space_.stream);
  for (std::size_t seen = 0, here = 0; seen < search_.rows; seen += here) {
    const bool is_first = seen == 0;
    const std::size_t wanted = is_first ? first_piece : std::min(seen * ratio, search_.rows - seen);
    if (seen < resident) {
      here = std::min(wanted, resident - seen);
      score(rows_.buffers_, seen, seen + here, 0, is_first);
    } else {
      here = std::min(wanted, streamed);
      rows_.allocate(search_.source, std::min(streamed, search_.rows - resident), space_.streamed);
      rows_.copy(search_.source, seen, here, space_.streamed, 0, space_.stream);
      score(space_.streamed, 0, here, seen, is_first);
    }
    select(keep_);
  }
}

void Batch::score(const RowBuffers& rows, std::size_t first, std::size_t last, std::size_t number,
                  bool is_first) {
  const float* const factors = space_.factors.get();
  const ScoreArguments arguments = {
      .rows = {rows.codes.get(), rows.scales.get(), rows.offsets.get(), rows.squares.get(),
               spec_.row_bytes},
      .queries = {space_.query_codes.get(), query_bytes_, factors, factors + count_,
                  factors + 2 * count_, factors + 3 * count_, count_},
      .candidates = candidates(),
      .first = static_cast<unsigned>(first),
      .last = static_cast<unsigned>(last),
      .number = static_cast<unsigned>(number),
      .bits = search_.bits == nullptr ? nullptr : space_.bits.get(),
      .bits_count = search_.bits_bytes * 8,
      .query_tiles = (count_ + tile_ - 1) / tile_,
      .first_piece = is_first,
      .resident = tile_ * (query_bytes_ + 16) <= kMostResidentQueryBytes,
  };
  switch (spec_.type) {
    case LICHEN_CUDA_F32:
      return score_by<F32Product, false, false>(arguments);
    case LICHEN_CUDA_F16:
      return score_by<F16Product, false, false>(arguments);
    case LICHEN_CUDA_BF16:
      return score_by<Bf16Product, false, false>(arguments);
    case LICHEN_CUDA_I8:
      return score_by<I8Product, true, false>(arguments);
    default:
      break;
  }
  if (count_ > kPopcountQueries) return score_by<I8Product, true, true>(arguments);
  const std::size_t wanted = (last - first + kThreads - 1) / kThreads;
  const unsigned blocks =
      static_cast<unsigned>(std::min<std::size_t>(wanted, 8 * rows_.multiprocessors_));
  const std::size_t shared = count_ * 4 * spec_.row_bytes;
  allow_shared_memory(reinterpret_cast<const void*>(&score_bits), shared);
  LICHEN_LAUNCH(score_bits, blocks, kThreads, shared, space_.stream, arguments,
                space_.planes.get());
  check_launch();
}

template <class Product, bool kCodes, bool kBits>
void Batch::score_by(const ScoreArguments& arguments) {
  if (tile_ == 16) return launch_score<Product, kCodes, kBits, 16>(arguments);
  if (tile_ == 64) return launch_score<Product, kCodes, kBits, 64>(arguments);
  return launch_score<Product, kCodes, kBits, 128>(arguments);
}

template <class Product, bool kCodes, bool kBits, int kQueries>
void Batch::launch_score(ScoreArguments arguments) {
  const auto kernel = score_rows<Product, kCodes, kBits, kQueries>;
  const std::size_t shared = score_shared_bytes(kQueries, query_bytes_, arguments.resident);
  allow_shared_memory(reinterpret_cast<const void*>(kernel), shared);
  // As many blocks as run at a time, in whole rounds of the tiles of queries.
  const unsigned tiles = (arguments.last - arguments.first + kTileRows - 1) / kTileRows;
  const unsigned at_once = 2 * static_cast<unsigned>(rows_.multiprocessors_);
  const unsigned lanes = std::clamp(at_once / arguments.query_tiles, 1u, tiles);
  LICHEN_LAUNCH(kernel, lanes * arguments.query_tiles, kThreads, shared, space_.stream, arguments);
  check_launch();
}

void Batch::select(std::size_t keep) {
  const std::size_t shared = places_ * sizeof(unsigned long long);
  allow_shared_memory(reinterpret_cast<const void*>(&select_nearest), shared);
  LICHEN_LAUNCH(select_nearest, count_, kSelectThreads, shared, space_.stream, candidates(),
                static_cast<unsigned>(keep), space_.lost.get());
  check_launch();
}

void Batch::rescore_kept() {
  const std::uint8_t* codes = rows_.buffers_.codes.get();
  if (streams()) {
    // Not all rows are here: those that are wanted are brought together.
    std::vector<unsigned long long> keys(static_cast<std::size_t>(count_) * places_);
    std::vector<unsigned> counts(count_);
    copy_to_host(keys.data(), space_.keys.get(), keys.size() * sizeof keys[0], space_.stream);
    copy_to_host(counts.data(), space_.counts.get(), counts.size() * sizeof counts[0],
                 space_.stream);
    wait_for(space_.stream);
    std::vector<std::uint8_t> gathered(count_ * keep_ * spec_.row_bytes);
    for (std::size_t q = 0; q < count_; ++q) {
      for (std::size_t i = 0; i < counts[q]; ++i) {
        const std::size_t row = static_cast<std::uint32_t>(keys[q * places_ + i]);
        std::memcpy(gathered.data() + (q * keep_ + i) * spec_.row_bytes,
                    search_.source.codes + row * spec_.row_bytes, spec_.row_bytes);
      }
    }
    space_.fetched.fit(gathered.size());
    copy_to_device(space_.fetched.get(), gathered.data(), gathered.size(), space_.stream);
    wait_for(space_.stream);
    codes = space_.fetched.get();
  }
  space_.errors.fit(count_);
  space_.constants.fit(count_);
  space_.certain.fit(count_);
  space_.rough_limits.fit(count_);
  fill(space_.errors.get(), 0, count_ * sizeof(unsigned), space_.stream);
  const dim3 grid(static_cast<unsigned>((keep_ * kLanes + 127) / 128), count_);
  LICHEN_LAUNCH(rescore, grid, 128, 0, space_.stream, candidates(), static_cast<unsigned>(keep_),
                codes, spec_.row_bytes, streams(), space_.values.get(),
                static_cast<unsigned>(spec_.dim), spec_.type, spec_.is_l2 != 0, space_.errors.get(),
                space_.constants.get());
  check_launch();
  const std::size_t k = std::min<std::size_t>(keep_, search_.k);
  // What was left out was left out by the rough distances.
  copy_on_device(space_.rough_limits.get(), space_.limits.get(),
                 count_ * sizeof(unsigned long long), space_.stream);
  select(k);
  Candidates judged = candidates();
  judged.limits = space_.rough_limits.get();
  LICHEN_LAUNCH(judge, (count_ + 127) / 128, 128, 0, space_.stream, judged, count_,
                static_cast<unsigned>(k), keep_ >= search_.rows, space_.errors.get(),
                space_.constants.get(), space_.certain.get());
  check_launch();
}

}  // namespace lichen::cuda
