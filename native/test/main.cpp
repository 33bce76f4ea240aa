#include <cstdio>
#include <exception>
#include <string>

#include "kernels/kernels.hpp"
#include "test/check.hpp"

// All tests, or those whose names hold the argument.
int main(int count, char** arguments) {
  const std::string wanted = count > 1 ? arguments[1] : "";
  try {
    std::printf("instruction set: %s\n", lichen::kernels().isa);
  } catch (const lichen::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  int passed = 0;
  int failed = 0;
  for (const auto& test : lichen::test::tests()) {
    if (std::string(test.name).find(wanted) == std::string::npos) continue;
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
