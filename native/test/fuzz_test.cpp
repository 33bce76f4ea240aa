// The targets of fuzzing without a fuzzer: their seeds, what fuzzing has found, and changes of both
// by dice.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz/targets.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/files.hpp"

namespace lichen {
namespace {

using fuzz::Bytes;
using test::Dice;

void run(const fuzz::Target& target, const Bytes& input) {
  target.run(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// Inputs that once did harm: fuzz/cases/TARGET/*.
std::vector<Bytes> found_cases(const char* target) {
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path folder =
      std::filesystem::path(__FILE__).parent_path().parent_path() / "fuzz" / "cases" / target;
  if (!std::filesystem::exists(folder)) return {};
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> cases;
  for (const auto& path : paths) cases.push_back(test::read_file(path.string()));
  return cases;
}

void change_some(Bytes& input, Dice& dice) {
  for (std::size_t changes = 1 + dice.below(4); changes > 0 && input.size() > 1; --changes) {
    const std::size_t at = 1 + dice.below(input.size() - 1);
    switch (dice.below(5)) {
      case 0:
        input[at] ^= static_cast<char>(1 << dice.below(8));
        break;
      case 1:
        input[at] = static_cast<char>(dice.below(256));
        break;
      case 2:  // a small or a very large number
        std::fill_n(input.begin() + static_cast<std::ptrdiff_t>(at),
                    std::min<std::size_t>(input.size() - at, 8),
                    static_cast<char>(dice.one_in(2) ? 0 : 0xFF));
        break;
      case 3:
        input.resize(at);
        break;
      default:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), 1 + dice.below(9), '\x01');
    }
  }
}

}  // namespace

TEST_CASE("readers of foreign bytes: seeds, found cases and changes of them do no harm") {
  const std::size_t rounds = test::is_full_run() ? 150 : 5;
  for (const fuzz::Target& target : fuzz::targets()) {
    std::vector<Bytes> inputs = target.seeds();
    CHECK(inputs.size() >= 5);
    for (Bytes& input : found_cases(target.name)) inputs.push_back(std::move(input));
    for (const Bytes& input : inputs) run(target, input);
    Dice dice(21);
    for (std::size_t round = 0; round < rounds; ++round) {
      Bytes input = inputs[dice.below(inputs.size())];
      change_some(input, dice);
      run(target, input);
    }
  }
}

}  // namespace lichen
