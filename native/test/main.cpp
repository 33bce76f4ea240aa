#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "kernels/kernels.hpp"
#include "test/check.hpp"

namespace {

// Whether a name holds `wanted`; where that begins with a minus, whether it holds none of the words
// behind, which commas divide.
bool is_wanted(const std::string& name, const std::string& wanted) {
  if (wanted.empty() || wanted.front() != '-') return name.find(wanted) != std::string::npos;
  std::size_t from = 1;
  while (from <= wanted.size()) {
    const std::size_t comma = std::min(wanted.find(',', from), wanted.size());
    if (name.find(wanted.substr(from, comma - from)) != std::string::npos) return false;
    from = comma + 1;
  }
  return true;
}

}  // namespace

// All tests, or those whose names hold the first argument; behind a minus, all but those whose
// names hold one of its words. With a second one, `other`, none on the instruction set that is
// chosen anyway.
int main(int count, char** arguments) {
  const std::string wanted = count > 1 ? arguments[1] : "";
  try {
    std::printf("instruction set: %s\n", lichen::kernels().isa);
    const bool is_default = &lichen::kernels() == lichen::runnable_kernels().back();
    if (is_default && count > 2 && std::string(arguments[2]) == "other") {
      std::printf("skipped: %s is what all tests run on\n", lichen::kernels().isa);
      return 77;
    }
  } catch (const lichen::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  int passed = 0;
  int failed = 0;
  for (const auto& test : lichen::test::tests()) {
    if (!is_wanted(test.name, wanted)) continue;
    try {
      test.body();
      ++passed;
      std::printf("ok    %s\n", test.name);
    } catch (const std::exception& error) {
      std::printf("FAIL  %s\n      %s\n", test.name, error.what());
      ++failed;
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
