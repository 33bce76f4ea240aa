#include "tensor/row_lists.hpp"

#include <algorithm>
#include <string>

#include "runtime/error.hpp"

namespace lichen {

void check_places(const std::int32_t* values, std::size_t count, std::size_t end,
                  const char* name) {
  for (std::size_t i = 0; i < count; ++i) {
    if (values[i] >= 0 && static_cast<std::size_t>(values[i]) < end) continue;
    throw Error(Code::kArgument, std::string(name) + ": " + std::to_string(values[i]) +
                                     " at place " + std::to_string(i) + " is not one of " +
                                     std::to_string(end) + " rows");
  }
}

void check_offsets(const std::int32_t* offsets, std::size_t lists, std::size_t places,
                   const char* name) {
  bool rises = offsets[0] == 0;
  for (std::size_t i = 0; i < lists; ++i) rises = rises && offsets[i] <= offsets[i + 1];
  if (!rises || static_cast<std::size_t>(offsets[lists]) != places) {
    throw Error(Code::kArgument, std::string(name) +
                                     " must rise from 0 to the number of rows, which is " +
                                     std::to_string(places));
  }
}
namespace {

constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);
constexpr std::size_t kMostKept = std::size_t{1} << 24;

// Where a row stands among the distinct ones; all kNone between uses.
thread_local std::vector<std::uint32_t> slot_of;

}  // namespace

RowLists::RowLists(const std::int32_t* rows, std::size_t places, std::size_t end) {
  if (slot_of.size() < end) slot_of.resize(end, kNone);
  std::vector<std::uint32_t> slots(places);
  rows_.reserve(std::min(places, end));
  starts_.reserve(std::min(places, end) + 1);
  const auto is_row = [end](std::int32_t row) {
    return row >= 0 && static_cast<std::size_t>(row) < end;
  };
  std::vector<std::uint32_t> counts;
  counts.reserve(std::min(places, end));
  for (std::size_t at = 0; at < places; ++at) {
    slots[at] = kNone;
    if (!is_row(rows[at])) continue;
    std::uint32_t& slot = slot_of[static_cast<std::size_t>(rows[at])];
    if (slot == kNone) {
      slot = static_cast<std::uint32_t>(rows_.size());
      rows_.push_back(static_cast<std::uint32_t>(rows[at]));
      counts.push_back(0);
    }
    slots[at] = slot;
    ++counts[slot];
  }
  for (const std::uint32_t row : rows_) slot_of[row] = kNone;
  if (slot_of.size() > kMostKept) std::vector<std::uint32_t>().swap(slot_of);
  std::uint32_t next = 0;
  for (std::uint32_t& count : counts) {
    starts_.push_back(next);
    const std::uint32_t first = next;
    next += count;
    count = first;
  }
  starts_.push_back(next);
  places_.resize(next);
  for (std::size_t at = 0; at < places; ++at) {
    if (slots[at] != kNone) places_[counts[slots[at]]++] = static_cast<std::uint32_t>(at);
  }
}

}  // namespace lichen
