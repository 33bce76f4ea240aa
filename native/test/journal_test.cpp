// The journal by itself; what it is for is tested in test/durability.

#include "storage/journal.hpp"

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "storage/attribute_table.hpp"
#include "storage/journal_records.hpp"
#include "test/attribute_data.hpp"
#include "test/check.hpp"
#include "test/files.hpp"

namespace lichen {
namespace {

using Records = std::vector<std::string>;

Records recovered(Journal& journal, const JournalPosition& position) {
  Records records;
  journal.recover(position, [&](const std::uint8_t* payload, std::size_t bytes) {
    records.emplace_back(reinterpret_cast<const char*>(payload), bytes);
  });
  return records;
}

std::uint64_t append(Journal& journal, const std::string& text) {
  // In pieces, as vectors follow the head of a change.
  const std::size_t half = text.size() / 2;
  return journal.append({{text.data(), half}, {text.data() + half, text.size() - half}});
}

}  // namespace

TEST_CASE("journal: what was appended comes back in order, across segments, long and short") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("a.lichen");
  const Records texts = {"one", "", std::string(200000, 'x'), "four", std::string(7, 'y')};
  {
    Journal journal(path);
    CHECK(recovered(journal, {5, 0}).empty());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      CHECK_EQUAL(append(journal, texts[i]), i + 1);
      if (i == 1) CHECK_EQUAL(journal.rotate().sequence, 2);
    }
    append(journal, "taken back");
    journal.drop_last();
    CHECK_EQUAL(journal.last_sequence(), 5);
  }
  {
    Journal journal(path);
    CHECK(recovered(journal, {5, 0}) == texts);
    CHECK_EQUAL(append(journal, "six"), 6);
  }
  {
    Journal journal(path);
    const Records last = recovered(journal, {5, 3});
    CHECK(last == Records({"four", texts[4], "six"}));
    const JournalPosition position = journal.rotate();
    CHECK_EQUAL(position.sequence, 6);
    journal.forget(position);
    CHECK_EQUAL(folder.names().size(), 2);  // the lock, and one segment
  }
  {
    Journal journal(path);
    CHECK(recovered(journal, {5, 6}).empty());
  }
  CHECK_THROWS(Code::kFormat, [&] {
    Journal journal(path);
    recovered(journal, {6, 6});
  }());
  CHECK_THROWS(Code::kFormat, [&] {
    Journal journal(path);
    recovered(journal, {5, 5});
  }());
}

TEST_CASE("journal: syncs side by side with appends and rotations") {
  const test::ScratchFolder folder;
  Journal journal(folder.file("a.lichen"));
  recovered(journal, {1, 0});
  std::atomic<bool> done{false};
  std::vector<std::thread> others;
  for (int t = 0; t < 3; ++t) {
    others.emplace_back([&] {
      while (!done.load()) {
        journal.sync(journal.last_sequence());
        CHECK(journal.bytes() >= 64);
      }
    });
  }
  for (int i = 1; i <= 300; ++i) {
    append(journal, std::to_string(i));
    if (i % 70 == 0) journal.forget(journal.rotate());
    if (i % 90 == 0) {
      append(journal, "taken back");
      journal.drop_last();
    }
  }
  done.store(true);
  for (std::thread& thread : others) thread.join();
  CHECK_EQUAL(journal.last_sequence(), 300);
}

TEST_CASE("journal records: changes come back, and no bytes are followed out of them") {
  const std::vector<AttributeSpec> schema = test::model_schema();
  test::Dice dice(3);
  const std::size_t dim = 3;
  for (int round = 0; round < 60; ++round) {
    const std::size_t count = 1 + dice.below(5);
    Change change;
    change.kind = static_cast<Change::Kind>(dice.below(6));
    const bool calibrates = change.kind == Change::Kind::kCalibrate;
    change.keys.kind = calibrates             ? KeyKind::kRow
                       : change.has_vectors() ? static_cast<KeyKind>(dice.below(3))
                                              : static_cast<KeyKind>(1 + dice.below(2));
    for (std::size_t i = 0; i < count; ++i) {
      if (change.keys.kind == KeyKind::kInteger) change.keys.integers.push_back(-7 + round);
      if (change.keys.kind == KeyKind::kString)
        change.keys.strings.push_back("é" + std::to_string(i));
    }
    const AttributeBatch batch = test::batch_of(test::random_rows(dice, count, 5));
    const bool has_attributes =
        change.kind == Change::Kind::kSetAttributes || (!calibrates && dice.one_in(2));
    std::vector<std::uint8_t> bytes = encode_change(change.kind, change.keys, count, dim,
                                                    has_attributes ? &batch : nullptr, schema);
    const std::size_t head = bytes.size();
    const std::vector<float> vectors(change.has_vectors() ? count * dim : 0, 0.5f);
    bytes.resize(head + vectors.size() * sizeof(float));
    if (!vectors.empty()) {
      std::memcpy(bytes.data() + head, vectors.data(), vectors.size() * sizeof(float));
    }
    const Change again = decode_change(bytes.data(), bytes.size(), dim, schema);
    CHECK(again.kind == change.kind);
    CHECK_EQUAL(again.count, count);
    CHECK(again.keys.integers == change.keys.integers);
    CHECK(again.keys.strings == change.keys.strings);
    CHECK_EQUAL(again.attributes.columns.size(), has_attributes ? schema.size() : 0);
    if (has_attributes) {
      AttributeTable table(schema);
      AttributeTable other(schema);
      table.append(batch, count);
      other.append(again.attributes, count);
      for (std::size_t c = 0; c < schema.size(); ++c) {
        for (std::size_t row = 0; row < count; ++row) {
          CHECK_EQUAL(table.has(c, row), other.has(c, row));
        }
      }
    }
    for (std::size_t i = 0; i < vectors.size(); ++i) CHECK_EQUAL(again.vectors[i], 0.5f);
    // Cut off, and with bytes changed: an error, or another change.
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const std::vector<std::uint8_t> part(bytes.begin(),
                                           bytes.begin() + static_cast<std::ptrdiff_t>(length));
      CHECK_THROWS(Code::kFormat, decode_change(part.data(), part.size(), dim, schema));
    }
    for (int flips = 0; flips < 200; ++flips) {
      std::vector<std::uint8_t> other = bytes;
      other[dice.below(other.size())] ^= static_cast<std::uint8_t>(1 + dice.below(255));
      try {
        decode_change(other.data(), other.size(), dim, schema);
      } catch (const Error& error) {
        CHECK(error.code() == Code::kFormat);
      }
    }
  }
}

}  // namespace lichen
