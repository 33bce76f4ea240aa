#include "runtime/limits.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace lichen {

namespace {

// cgroup v1 writes a number about as large as it has for "no limit".
constexpr std::uint64_t kNoMemoryLimit = std::uint64_t{1} << 60;

std::size_t processors_of_mask() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  }
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream stream(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string first_line(const std::string& path) {
  const auto lines = lines_of(path);
  return lines.empty() ? "" : lines.front();
}

bool lists(const std::string& names, const std::string& name) {
  return ("," + names + ",").find("," + name + ",") != std::string::npos;
}

// A hierarchy of control groups as it is mounted.
struct Mount {
  bool unified = false;     // v2
  std::string controllers;  // of v1, among other options
  std::string top;          // the group that is seen at `folder`
  std::string folder;
};

std::vector<Mount> mounts(const std::string& root) {
  std::vector<Mount> found;
  for (const std::string& line : lines_of(root + "/proc/self/mountinfo")) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string id, parent, device, kind, source;
    Mount mount;
    std::istringstream(line) >> id >> parent >> device >> mount.top >> mount.folder;
    std::istringstream(line.substr(dash + 3)) >> kind >> source >> mount.controllers;
    mount.unified = kind == "cgroup2";
    if (mount.unified || kind == "cgroup") found.push_back(mount);
  }
  return found;
}

// The process's own group in the hierarchy that has a controller, below what is mounted there.
struct Group {
  bool unified = false;
  std::string folder;  // where the topmost group that can be seen lies; empty: there is none
  std::string below;   // from there on, such as /a/b, or empty
};

Group group_of(const std::string& root, const std::string& controller) {
  std::string path;
  bool unified = true;
  for (const std::string& line : lines_of(root + "/proc/self/cgroup")) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool own = lists(controllers, controller);
    // One that v1 has is not in v2.
    if (own) unified = false;
    if (own || (controllers.empty() && unified)) path = line.substr(second + 1);
  }
  Group group;
  for (const Mount& mount : mounts(root)) {
    if (mount.unified != unified || (!unified && !lists(mount.controllers, controller))) continue;
    group.unified = unified;
    group.folder = root + mount.folder;
    const std::string top = mount.top == "/" ? "" : mount.top;
    // A container may see another path than the one that is mounted for it: its own group is on
    // top.
    const bool inside = path.compare(0, top.size(), top) == 0 &&
                        (path.size() == top.size() || path[top.size()] == '/') &&
                        path.find("/..") == std::string::npos;
    if (inside) group.below = path.substr(top.size());
    while (!group.below.empty() && group.below.back() == '/') group.below.pop_back();
  }
  return group;
}

// Calls `look` with the folder of a group and of each one around it.
template <class Look>
void walk_up(Group group, Look&& look) {
  if (group.folder.empty()) return;
  for (;;) {
    look(group.folder + group.below);
    if (group.below.empty()) return;
    group.below.erase(group.below.rfind('/'));
  }
}

void read_quota(const std::string& root, Limits& limits) {
  const Group group = group_of(root, "cpu");
  walk_up(group, [&](const std::string& folder) {
    const std::string file = folder + (group.unified ? "/cpu.max" : "/cpu.cfs_quota_us");
    std::string text = first_line(file);
    if (!group.unified) text += " " + first_line(folder + "/cpu.cfs_period_us");
    // v2 says "max" and v1 -1 where there is no limit.
    double time = 0, period = 0;
    if (!(std::istringstream(text) >> time >> period) || time <= 0 || period <= 0) return;
    if (limits.quota > 0 && limits.quota <= time / period) return;
    limits.quota = time / period;
    limits.quota_from = file;
  });
}

void read_memory(const std::string& root, Limits& limits) {
  const Group group = group_of(root, "memory");
  const std::vector<std::string> names =
      group.unified ? std::vector<std::string>{"/memory.max", "/memory.high"}
                    : std::vector<std::string>{"/memory.limit_in_bytes"};
  walk_up(group, [&](const std::string& folder) {
    for (const std::string& name : names) {
      std::uint64_t bytes = 0;
      if (!(std::istringstream(first_line(folder + name)) >> bytes)) continue;
      if (bytes == 0 || bytes >= kNoMemoryLimit) continue;
      if (limits.memory > 0 && limits.memory <= bytes) continue;
      limits.memory = bytes;
      limits.memory_from = folder + name;
    }
  });
}

}  // namespace

std::size_t Limits::threads() const {
  if (quota <= 0 || quota >= static_cast<double>(processors)) return processors;
  return std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(quota)));
}

Limits read_limits(const std::string& root) {
  Limits limits;
  limits.processors = processors_of_mask();
  read_quota(root, limits);
  read_memory(root, limits);
  return limits;
}

std::size_t usable_processors() {
  static const std::size_t threads = read_limits().threads();
  return threads;
}

}  // namespace lichen
