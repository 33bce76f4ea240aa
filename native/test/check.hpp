#pragma once
// The few lines of test framework that the native tests need: no package of the npm registry brings
// one, and the tests must build on a machine that has only a compiler and CMake.

#include <cstdlib>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/error.hpp"

namespace lichen::test {

struct Test {
  const char* name;
  std::function<void()> body;
};

// Whether this is the run, among those on every instruction set and under the thread sanitizer,
// that does all of what depends on neither; the others do with a part.
inline bool is_full_run() {
#if defined(__SANITIZE_THREAD__)
  return false;
#else
  return std::getenv("LICHEN_ISA") == nullptr;
#endif
}

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(const char* name, std::function<void()> body) {
    tests().push_back({name, std::move(body)});
  }
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::ostringstream message;
  message << file << ":" << line << ": " << what;
  throw std::runtime_error(message.str());
}

template <class A, class B>
void check_equal(const char* file, int line, const char* text, const A& a, const B& b) {
  if (a == b) return;
  std::ostringstream message;
  message << text << ": " << a << " is not " << b;
  fail(file, line, message.str());
}

// The code of the lichen::Error that `body` throws; fails the test if it throws none.
template <class Body>
Code code_of(const char* file, int line, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  fail(file, line, "expected an error, got none");
}

}  // namespace lichen::test

#define LICHEN_JOIN_(a, b) a##b
#define LICHEN_JOIN(a, b) LICHEN_JOIN_(a, b)
#define TEST_CASE(name)                                                 \
  static void LICHEN_JOIN(test_, __LINE__)();                           \
  static const lichen::test::Register LICHEN_JOIN(register_, __LINE__)( \
      name, LICHEN_JOIN(test_, __LINE__));                              \
  static void LICHEN_JOIN(test_, __LINE__)()
#define CHECK(condition) \
  if (!(condition)) lichen::test::fail(__FILE__, __LINE__, #condition)
#define CHECK_EQUAL(a, b)                                                                \
  lichen::test::check_equal(__FILE__, __LINE__, #a " == " #b, static_cast<long long>(a), \
                            static_cast<long long>(b))
#define CHECK_THROWS(expected, ...) \
  CHECK(lichen::test::code_of(__FILE__, __LINE__, [&] { __VA_ARGS__; }) == (expected))
