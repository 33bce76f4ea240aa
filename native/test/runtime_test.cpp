#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <thread>

#include "index/beam.hpp"
#include "index/graph_search.hpp"
#include "index/search_scratch.hpp"
#include "index/top_k.hpp"
#include "runtime/aligned.hpp"
#include "runtime/crc32c.hpp"
#include "runtime/rw_lock.hpp"
#include "runtime/thread_pool.hpp"
#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen {

TEST_CASE("crc32c: the check values of RFC 3720, appendix B.4") {
  const std::vector<unsigned char> zeros(32, 0x00);
  const std::vector<unsigned char> ones(32, 0xFF);
  std::vector<unsigned char> rising(32);
  for (std::size_t i = 0; i < 32; ++i) rising[i] = static_cast<unsigned char>(i);
  CHECK_EQUAL(crc32c(0, zeros.data(), 32), 0x8A9136AAu);
  CHECK_EQUAL(crc32c(0, ones.data(), 32), 0x62A8AB43u);
  CHECK_EQUAL(crc32c(0, rising.data(), 32), 0x46DD794Eu);
  // In pieces of any length it is the same.
  for (std::size_t cut = 0; cut <= 32; ++cut) {
    CHECK_EQUAL(crc32c(crc32c(0, rising.data(), cut), rising.data() + cut, 32 - cut), 0x46DD794Eu);
  }
}

TEST_CASE("crc32c: with the processor's instruction and without it the same") {
  std::vector<unsigned char> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<unsigned char>(splitmix64(3, i));
  }
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t length = 0; length < 200; ++length) {
      CHECK_EQUAL(crc32c(7, bytes.data() + from, length),
                  crc32c_portable(7, bytes.data() + from, length));
    }
  }
}

TEST_CASE("aligned buffer: keeps its content over growth and starts on a cache line") {
  AlignedBuffer<std::uint32_t> buffer;
  for (std::uint32_t i = 0; i < 10000; ++i) {
    buffer.resize(i + 1, i);
    CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(buffer.data()) % kCacheLine, 0);
  }
  for (std::uint32_t i = 0; i < 10000; ++i) CHECK_EQUAL(buffer[i], i);
}

TEST_CASE("aligned buffer: keeps its content from block to block, whoever gives them") {
  // Around the sizes from which the system is asked, and from which it gives huge pages.
  for (const std::size_t bytes : {std::size_t{128} << 10, kLargeBytes}) {
    AlignedBuffer<std::uint32_t> buffer;
    for (std::size_t size = bytes / 4 - 40; size < bytes / 4 + 40; size += 7) {
      AlignedBuffer<std::uint32_t> other = buffer;
      AlignedBuffer<std::uint32_t> grown;
      grown.reserve(size);
      CHECK_EQUAL(grown.capacity() >= size, true);
      CHECK_EQUAL(grown.bytes() >= 4 * size, true);
      grown.resize(size, static_cast<std::uint32_t>(size));
      // Every byte that it says it has is its own.
      grown.resize(grown.capacity(), 1);
      for (std::size_t i = 0; i < size; ++i) CHECK_EQUAL(grown[i], size);
      CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(grown.data()) % kCacheLine, 0);
      buffer.swap(grown);
      CHECK_EQUAL(grown.size(), other.size());
    }
    const AlignedBuffer<std::uint32_t> zeros = AlignedBuffer<std::uint32_t>::zeros(bytes / 4 + 1);
    CHECK_EQUAL(zeros.size(), bytes / 4 + 1);
    for (std::size_t i = 0; i < zeros.size(); ++i) CHECK_EQUAL(zeros[i], 0);
  }
  CHECK_EQUAL(AlignedBuffer<std::uint32_t>::zeros(0).size(), 0);
}

TEST_CASE("thread pool: runs every task before it ends") {
  std::atomic<int> sum{0};
  {
    ThreadPool pool(3);
    for (int i = 1; i <= 1000; ++i) pool.submit([&sum, i] { sum += i; });
  }
  CHECK_EQUAL(sum.load(), 500500);
}

TEST_CASE("lock: a writer gets in although readers keep coming") {
  RwLock lock;
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done.load()) {
        const ReadLock reading(lock);
        std::this_thread::yield();
      }
    });
  }
  for (int i = 0; i < 100; ++i) const WriteLock writing(lock);
  done = true;
  for (auto& reader : readers) reader.join();
}

TEST_CASE("top k: agrees with a sort, ties and NaN included") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<Hit> all;
    const std::size_t count = 1 + splitmix64(seed, 0) % 60;
    for (std::uint32_t i = 0; i < count; ++i) {
      all.push_back({static_cast<float>(splitmix64(seed, i + 1) % 10), i});
    }
    const std::size_t k = 1 + splitmix64(seed, 99) % count;
    std::vector<Hit> best(k);
    TopK top(best.data(), k);
    for (const Hit& hit : all) top.offer(hit.distance, hit.row);
    CHECK_EQUAL(top.finish(), k);
    std::sort(all.begin(), all.end(), nearer);
    for (std::size_t i = 0; i < k; ++i) CHECK_EQUAL(best[i].row, all[i].row);
  }
  Hit hits[2];
  TopK top(hits, 2);
  top.offer(std::nanf(""), 0);
  top.offer(1.0f, 1);
  top.offer(2.0f, 2);
  CHECK_EQUAL(top.finish(), 2);
  CHECK_EQUAL(hits[0].row, 1);
  CHECK_EQUAL(hits[1].row, 2);
}

TEST_CASE("beam: keeps the nearest, sorted, and expands each once") {
  Beam beam;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const std::size_t capacity = 1 + splitmix64(seed, 0) % 20;
    beam.reset(capacity);
    std::vector<Hit> all;
    std::vector<std::uint32_t> expanded;
    for (std::uint32_t i = 0; i < 180;) {
      std::vector<float> distances;
      std::vector<std::uint32_t> rows;
      for (std::uint64_t more = 1 + splitmix64(seed + 1, i) % 80; more > 0; --more, ++i) {
        distances.push_back(static_cast<float>(splitmix64(seed, i + 1) % 1000));
        rows.push_back(i);
        all.push_back({distances.back(), i});
      }
      const std::size_t best = beam.insert(distances.data(), rows.data(), rows.size(), AllRows{});
      if (best < beam.size()) {
        CHECK(std::find(rows.begin(), rows.end(), beam.row(best)) != rows.end());
        for (std::size_t b = 0; b < best; ++b) {
          CHECK(std::find(rows.begin(), rows.end(), beam.row(b)) == rows.end());
        }
      }
      {
        std::vector<std::uint32_t> next;
        beam.for_next(2, [&](std::uint32_t row) { next.push_back(row); });
        for (const std::uint32_t foreseen : next) {
          const std::uint32_t row = beam.expand_next();
          CHECK_EQUAL(foreseen, row);
          expanded.push_back(row);
        }
      }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Hit& a, const Hit& b) { return a.distance < b.distance; });
    CHECK_EQUAL(beam.size(), capacity);
    for (std::size_t i = 0; i < capacity; ++i) CHECK(beam.distance(i) == all[i].distance);
    for (std::uint32_t row = beam.expand_next(); row != kNoRow; row = beam.expand_next()) {
      expanded.push_back(row);
    }
    std::sort(expanded.begin(), expanded.end());
    CHECK(std::adjacent_find(expanded.begin(), expanded.end()) == expanded.end());
  }
}

TEST_CASE("beam: is filled with the nearest of many rows") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Beam beam;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::size_t capacity = 1 + splitmix64(seed, 0) % 120;
    const std::size_t count = splitmix64(seed, 1) % 1500;
    // Of a few values, so that many are alike; some seeds have hardly any that is near at all.
    const std::uint64_t values = seed % 3 == 0 ? 5 : 100000;
    const bool mostly_far = seed % 5 == 0;
    std::vector<float> distances(count);
    std::vector<std::uint32_t> rows(count);
    std::vector<Hit> finite;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t random = splitmix64(seed + 7, i);
      distances[i] = -static_cast<float>(random % values);
      if (mostly_far && random % 64 != 0) distances[i] = kInfinity;
      if (random % 50 == 1) distances[i] = std::nanf("");
      rows[i] = static_cast<std::uint32_t>(3 * i);
      if (distances[i] < kInfinity) finite.push_back({distances[i], rows[i]});
    }
    std::sort(finite.begin(), finite.end(), nearer);
    beam.reset(capacity);
    beam.fill(distances.data(), rows.data(), count);
    CHECK_EQUAL(beam.size(), std::min(capacity, finite.size()));
    for (std::size_t i = 0; i < beam.size(); ++i) {
      CHECK(beam.distance(i) == finite[i].distance);
      CHECK(distances[beam.row(i) / 3] == beam.distance(i));
      for (std::size_t j = 0; j < i; ++j) CHECK(beam.row(i) != beam.row(j));
    }
    CHECK(beam.worst() == (beam.size() < capacity ? kInfinity : finite[capacity - 1].distance));
    CHECK_EQUAL(beam.expand_next(), beam.size() == 0 ? kNoRow : beam.row(0));
  }
}

TEST_CASE("beam: rows that may not be returned take no room from those that may") {
  Beam beam;
  const auto admits = [](std::uint32_t row) { return row % 4 == 0; };
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::size_t capacity = 1 + splitmix64(seed, 0) % 20;
    beam.reset(capacity);
    std::vector<Hit> admitted;
    for (std::uint32_t i = 0; i < 300; ++i) {
      const float distance = static_cast<float>(splitmix64(seed, i + 1) % 100000);
      if (admits(i)) admitted.push_back({distance, i});
      beam.insert(&distance, &i, 1, admits);
    }
    std::sort(admitted.begin(), admitted.end(), nearer);
    std::vector<float> found;
    for (std::size_t i = 0; i < beam.size(); ++i) {
      if (admits(beam.row(i))) found.push_back(beam.distance(i));
    }
    CHECK(found.size() >= capacity);
    for (std::size_t i = 0; i < capacity; ++i) CHECK(found[i] == admitted[i].distance);
  }
}

TEST_CASE("visited rows: a search meets each row once and forgets what the one before met") {
  test::Dice dice(11);
  VisitedRows visited;
  for (int search = 0; search < 300; ++search) {
    const std::size_t rows = 1 + dice.below(1000);
    std::vector<bool> met(rows, false);
    visited.start(rows);
    // Few rows and many, so that both ways of forgetting are taken.
    for (std::size_t lists = dice.below(search % 2 == 0 ? 3 : 60); lists > 0; --lists) {
      std::vector<std::uint32_t> list(dice.below(40));
      for (std::uint32_t& row : list) row = static_cast<std::uint32_t>(dice.below(rows + rows / 8));
      std::vector<std::uint32_t> expected;
      for (const std::uint32_t row : list) {
        if (row >= rows) break;
        if (!met[row]) expected.push_back(row);
        met[row] = true;
      }
      std::vector<std::uint32_t> fresh(list.size());
      fresh.resize(visited.meet_list(
          list.size(), rows, [&](std::size_t i) { return list[i]; }, fresh.data()));
      CHECK(fresh == expected);
      const auto row = static_cast<std::uint32_t>(dice.below(rows));
      CHECK(visited.has(row) == met[row]);
      CHECK(visited.meet(row) == !met[row]);
      met[row] = true;
    }
  }
}

}  // namespace lichen
