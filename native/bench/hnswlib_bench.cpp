// hnswlib called from C++, as a process that takes turns with other libraries. It reads raw f32
// files, builds, and then serves commands on stdin, each answered by one line of JSON.
//
//   hnswlib_bench BASE QUERIES DIM METRIC M EF_CONSTRUCTION K
//     run EF SECONDS     searches on one thread, at least so long
//     batch EF THREADS   searches for each query once, on so many threads
//     latency EF         searches for each query once, by the clock
//     keys EF FILE       writes the row numbers found as int32, K a query, -1 where there is none

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hnswlib.h"

namespace {

using Clock = std::chrono::steady_clock;
using Index = hnswlib::HierarchicalNSW<float>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Vectors {
  std::vector<float> values;
  std::size_t dim;

  std::size_t rows() const { return values.size() / dim; }
  const float* row(std::size_t at) const { return values.data() + at * dim; }
};

Vectors read_vectors(const char* path, std::size_t dim, bool normalize) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  Vectors vectors{std::vector<float>(static_cast<std::size_t>(file.tellg()) / sizeof(float)), dim};
  file.seekg(0);
  file.read(reinterpret_cast<char*>(vectors.values.data()),
            static_cast<std::streamsize>(vectors.values.size() * sizeof(float)));
  if (!normalize) return vectors;
  for (std::size_t row = 0; row < vectors.rows(); ++row) {
    float* values = vectors.values.data() + row * dim;
    float sum = 0;
    for (std::size_t d = 0; d < dim; ++d) sum += values[d] * values[d];
    const float scale = sum > 0 ? 1 / std::sqrt(sum) : 0;
    for (std::size_t d = 0; d < dim; ++d) values[d] *= scale;
  }
  return vectors;
}

// Resident memory in bytes; 0 where the system does not tell.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  if (!(file >> total >> resident)) return 0;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

class Bench {
 public:
  Bench(char** arguments)
      : dim_(std::strtoul(arguments[2], nullptr, 10)), k_(std::strtoul(arguments[6], nullptr, 10)) {
    const std::string metric = arguments[3];
    const Vectors base = read_vectors(arguments[0], dim_, metric == "cosine");
    queries_ = read_vectors(arguments[1], dim_, metric == "cosine");
    if (metric == "l2") {
      space_ = std::make_unique<hnswlib::L2Space>(dim_);
    } else {
      space_ = std::make_unique<hnswlib::InnerProductSpace>(dim_);
    }
    const double before = resident_bytes();
    const Clock::time_point start = Clock::now();
    index_ =
        std::make_unique<Index>(space_.get(), base.rows(), std::strtoul(arguments[4], nullptr, 10),
                                std::strtoul(arguments[5], nullptr, 10));
    for (std::size_t row = 0; row < base.rows(); ++row) index_->addPoint(base.row(row), row);
    const double seconds = seconds_since(start);
    const bool is_told = before > 0;
    const double bytes =
        is_told ? resident_bytes() - before : static_cast<double>(index_->indexFileSize());
    std::printf("{\"buildSeconds\": %.6f, \"bytes\": %.0f, \"bytesBy\": \"%s\"}\n", seconds, bytes,
                is_told ? "resident memory" : "size of its file");
    std::fflush(stdout);
  }

  void answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::size_t ef = 0;
    words >> command >> ef;
    index_->setEf(ef);
    if (command == "run") {
      double seconds = 0;
      words >> seconds;
      run(seconds);
    } else if (command == "batch") {
      std::size_t threads = 1;
      words >> threads;
      batch(threads);
    } else if (command == "latency") {
      latency();
    } else if (command == "keys") {
      std::string path;
      std::getline(words >> std::ws, path);
      write_keys(path);
    } else {
      throw std::runtime_error("no command " + line);
    }
    std::fflush(stdout);
  }

 private:
  // A look at the clock every few queries only.
  static constexpr std::size_t kQueriesAtOnce = 16;

  auto search(std::size_t query) const { return index_->searchKnn(queries_.row(query), k_); }

  void run(double least) {
    const Clock::time_point start = Clock::now();
    std::size_t count = 0;
    double seconds = 0;
    do {
      for (std::size_t i = 0; i < kQueriesAtOnce; ++i, ++count) {
        found_ += search(next_).size();
        next_ = (next_ + 1) % queries_.rows();
      }
      seconds = seconds_since(start);
    } while (seconds < least);
    std::printf("{\"queries\": %zu, \"qps\": %.3f, \"found\": %zu}\n", count,
                static_cast<double>(count) / seconds, found_);
  }

  // Each thread takes some queries after the others, until there are no more.
  void batch(std::size_t threads) {
    std::atomic<std::size_t> taken{0};
    std::atomic<std::size_t> found{0};
    const auto work = [&] {
      std::size_t here = 0;
      for (;;) {
        const std::size_t first = taken.fetch_add(kQueriesAtOnce);
        if (first >= queries_.rows()) break;
        const std::size_t end = std::min(first + kQueriesAtOnce, queries_.rows());
        for (std::size_t query = first; query < end; ++query) here += search(query).size();
      }
      found += here;
    };
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    found_ += found;
    std::printf("{\"queries\": %zu, \"found\": %zu}\n", queries_.rows(), found_);
  }

  void latency() {
    std::vector<double> micros(queries_.rows());
    for (std::size_t query = 0; query < micros.size(); ++query) {
      const Clock::time_point start = Clock::now();
      found_ += search(query).size();
      micros[query] = seconds_since(start) * 1e6;
    }
    std::sort(micros.begin(), micros.end());
    const auto percentile = [&](std::size_t percent) {
      return micros[(percent * micros.size() + 99) / 100 - 1];
    };
    std::printf("{\"p50us\": %.3f, \"p99us\": %.3f, \"found\": %zu}\n", percentile(50),
                percentile(99), found_);
  }

  void write_keys(const std::string& path) const {
    std::vector<std::int32_t> keys(queries_.rows() * k_, -1);
    for (std::size_t query = 0; query < queries_.rows(); ++query) {
      auto found = search(query);
      for (std::size_t place = query * k_; !found.empty(); found.pop(), ++place) {
        keys[place] = static_cast<std::int32_t>(found.top().second);
      }
    }
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(keys.data()),
               static_cast<std::streamsize>(keys.size() * sizeof(std::int32_t)));
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path);
    std::printf("{\"queries\": %zu}\n", queries_.rows());
  }

  std::size_t dim_;
  std::size_t k_;
  Vectors queries_;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<Index> index_;
  std::size_t next_ = 0;
  // Told, so that no search can be left out as useless.
  std::size_t found_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 8) {
    std::fprintf(stderr, "usage: %s BASE QUERIES DIM METRIC M EF_CONSTRUCTION K\n", arguments[0]);
    return 2;
  }
  try {
    Bench bench(arguments + 1);
    for (std::string line; std::getline(std::cin, line);) bench.answer(line);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hnswlib_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
