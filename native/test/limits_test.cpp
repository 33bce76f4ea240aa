#include "runtime/limits.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include "test/check.hpp"
#include "test/files.hpp"

namespace lichen {
namespace {

namespace fs = std::filesystem;

// A made /proc and /sys, gone at the end.
class System {
 public:
  ~System() { fs::remove_all(scratch_.file("root")); }
  System& has(const std::string& path, const std::string& text) {
    const fs::path file(root() + path);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
    return *this;
  }
  std::string root() const { return scratch_.file("root"); }
  Limits limits() const { return read_limits(root()); }

 private:
  test::ScratchFolder scratch_;
};

const char* const kUnified =
    "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
const char* const kSplit =
    "24 1 0:22 / /sys rw - sysfs sysfs rw\n"
    "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
const char* const kSplitGroups = "5:memory:/pod/one\n4:cpu,cpuacct:/pod/one\n0::/";

}  // namespace

TEST_CASE("limits: where nothing can be read there are none") {
  const Limits limits = System().limits();
  CHECK(limits.processors >= 1);
  CHECK(limits.quota == 0);
  CHECK_EQUAL(limits.memory, 0);
  CHECK_EQUAL(limits.threads(), limits.processors);
  CHECK(limits.quota_from.empty() && limits.memory_from.empty());
}

TEST_CASE("limits: cgroup v2, the least of a group and those around it") {
  System system;
  system.has("/proc/self/cgroup", "0::/pod/one/inner").has("/proc/self/mountinfo", kUnified);
  system.has("/sys/fs/cgroup/pod/one/inner/cpu.max", "max 100000");
  system.has("/sys/fs/cgroup/pod/one/inner/memory.max", "max");
  CHECK(system.limits().quota == 0);
  CHECK_EQUAL(system.limits().memory, 0);
  system.has("/sys/fs/cgroup/pod/one/cpu.max", "150000 100000");
  system.has("/sys/fs/cgroup/pod/cpu.max", "50000 100000");
  system.has("/sys/fs/cgroup/pod/one/memory.max", "1073741824");
  system.has("/sys/fs/cgroup/pod/memory.max", "2147483648");
  Limits limits = system.limits();
  CHECK(limits.quota == 0.5);
  CHECK(limits.quota_from == system.root() + "/sys/fs/cgroup/pod/cpu.max");
  CHECK_EQUAL(limits.memory, 1073741824);
  CHECK(limits.memory_from == system.root() + "/sys/fs/cgroup/pod/one/memory.max");
  // Above this the kernel slows a process down, so it counts as the limit.
  system.has("/sys/fs/cgroup/pod/one/inner/memory.high", "536870912");
  CHECK_EQUAL(system.limits().memory, 536870912);
}

TEST_CASE("limits: cgroup v2 of a container that sees its own group on top") {
  for (const char* group : {"0::/", "0::/../../other", "0::/docker/abc"}) {
    System system;
    system.has("/proc/self/cgroup", group).has("/proc/self/mountinfo", kUnified);
    system.has("/sys/fs/cgroup/cpu.max", "200000 100000");
    system.has("/sys/fs/cgroup/memory.max", "4096");
    const Limits limits = system.limits();
    CHECK(limits.quota == 2);
    CHECK_EQUAL(limits.memory, 4096);
  }
}

TEST_CASE("limits: a mount that shows a group below the top") {
  System system;
  system.has("/proc/self/cgroup", "0::/docker/abc/inner");
  system.has("/proc/self/mountinfo",
             "30 24 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
  system.has("/sys/fs/cgroup/inner/cpu.max", "100000 100000");
  CHECK(system.limits().quota == 1);
  // Another group whose name begins alike.
  system.has("/proc/self/cgroup", "0::/docker/abcdef");
  system.has("/sys/fs/cgroup/cpu.max", "300000 100000");
  CHECK(system.limits().quota == 3);
}

TEST_CASE("limits: cgroup v1, beside a v2 that has no controllers") {
  System system;
  system.has("/proc/self/cgroup", kSplitGroups).has("/proc/self/mountinfo", kSplit);
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct", memory = "/sys/fs/cgroup/memory";
  system.has(cpu + "/pod/one/cpu.cfs_quota_us", "-1");
  system.has(cpu + "/pod/one/cpu.cfs_period_us", "100000");
  system.has(memory + "/pod/one/memory.limit_in_bytes", "9223372036854771712");
  CHECK(system.limits().quota == 0);
  CHECK_EQUAL(system.limits().memory, 0);
  system.has(cpu + "/pod/cpu.cfs_quota_us", "75000").has(cpu + "/pod/cpu.cfs_period_us", "50000");
  system.has(memory + "/memory.limit_in_bytes", "8589934592");
  const Limits limits = system.limits();
  CHECK(limits.quota == 1.5);
  CHECK(limits.quota_from == system.root() + cpu + "/pod/cpu.cfs_quota_us");
  CHECK_EQUAL(limits.memory, 8589934592);
}

TEST_CASE("limits: files that make no sense limit nothing") {
  for (const char* text : {"", "max", "none 100000", "100000", "100000 0", "-5 100000", "0 1"}) {
    System system;
    system.has("/proc/self/cgroup", "0::/a\n\n:\n7\n").has("/proc/self/mountinfo", kUnified);
    system.has("/sys/fs/cgroup/a/cpu.max", text).has("/sys/fs/cgroup/a/memory.max", "lots");
    CHECK(system.limits().quota == 0);
    CHECK_EQUAL(system.limits().memory, 0);
  }
}

TEST_CASE("limits: threads are no more than the quota, rounded up, suffices for") {
  Limits limits;
  limits.processors = 4;
  const double quotas[] = {0, 0.01, 0.5, 1, 1.01, 2, 3.5, 4, 64};
  const std::size_t threads[] = {4, 1, 1, 1, 2, 2, 4, 4, 4};
  for (std::size_t at = 0; at < 9; ++at) {
    limits.quota = quotas[at];
    CHECK_EQUAL(limits.threads(), threads[at]);
  }
}

TEST_CASE("limits: usable processors are those of this process's limits") {
  CHECK_EQUAL(usable_processors(), read_limits().threads());
}

}  // namespace lichen
