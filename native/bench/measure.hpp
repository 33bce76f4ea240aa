#pragma once
// How the native benches measure. Measurements of a group stand beside each other, round after
// round, and are compared within a round: what disturbs the machine meets both sides.

#include <functional>
#include <string>
#include <vector>

namespace lichen::bench {

inline constexpr int kNone = -1;

struct Measurement {
  std::string section;
  std::string name;
  // "GB/s", "GFLOP/s", "GOP/s": billions of what work() counts; "ns …": nanoseconds for each.
  std::string unit;
  // Does some work and says how many units it was. Empty: there is a note alone.
  std::function<double()> work{};
  // Measurements of the same group, by position, by which the own rate is divided: what the machine
  // can do, the same work by another library, packing alone.
  int limit = kNone;
  int peer = kNone;
  int packing = kNone;
  std::string note{};

  std::vector<double> rates{};
};

using Group = std::vector<Measurement>;

// A round that warms up, then `rounds` that count.
void measure(std::vector<Group>& groups, int rounds);

// One JSON array; median, min and max over the rounds. A group's measurements without a section
// are there for the others and are left out.
void print_json(const std::vector<Group>& groups);

// Where results go that nobody reads, so that the compiler keeps the work.
extern volatile float sink;

}  // namespace lichen::bench
