#include <cstdio>
#include <exception>

#include "kernels/kernels.hpp"
#include "test/check.hpp"

int main() {
  try {
    std::printf("instruction set: %s\n", lichen::kernels().isa);
  } catch (const lichen::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  int failed = 0;
  for (const auto& test : lichen::test::tests()) {
    try {
      test.body();
      std::printf("ok    %s\n", test.name);
    } catch (const std::exception& error) {
      std::printf("FAIL  %s\n      %s\n", test.name, error.what());
      ++failed;
    }
  }
  std::printf("%zu passed, %d failed\n", lichen::test::tests().size() - failed, failed);
  return failed == 0 ? 0 : 1;
}
