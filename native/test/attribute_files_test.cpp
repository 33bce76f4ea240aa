#include <cstring>

#include "runtime/crc32c.hpp"
#include "storage/attribute_matcher.hpp"
#include "storage/attribute_sections.hpp"
#include "test/attribute_data.hpp"
#include "test/check.hpp"
#include "test/files.hpp"

namespace lichen {
namespace {

using test::Dice;
using test::ModelRow;

void save(const AttributeTable& table, const std::string& path) {
  std::vector<SectionData> sections;
  const AttributeImage image = describe_attributes(table, sections);
  SnapshotHeader header;
  header.rows = table.rows();
  Progress progress;
  write_snapshot(path, header, sections, progress);
}

AttributeTable open(const std::string& path) {
  const SnapshotReader reader(path);
  return load_attributes(reader, reader.header().rows);
}

AttributeTable table_of(const std::vector<ModelRow>& rows) {
  AttributeTable table(test::model_schema());
  table.append(test::batch_of(rows), rows.size());
  return table;
}

// The file with one change behind checksums that hold.
template <class Change>
std::vector<char> forged(std::vector<char> bytes, Change&& change) {
  SnapshotHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::vector<SectionEntry> table(header.sections);
  const std::size_t table_bytes = table.size() * sizeof(SectionEntry);
  std::memcpy(table.data(), bytes.data() + sizeof header, table_bytes);
  change(header, table, bytes);
  for (SectionEntry& section : table) {
    if (section.offset > bytes.size() || section.bytes > bytes.size() - section.offset) continue;
    section.checksum = crc32c(0, bytes.data() + section.offset, section.bytes);
  }
  header.checksum = 0;
  header.checksum = crc32c(crc32c(0, &header, sizeof header), table.data(), table_bytes);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, table.data(), table_bytes);
  return bytes;
}

}  // namespace

TEST_CASE("attribute sections: what was saved comes back and takes further rows") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("attributes.lichen");
  for (const std::size_t strings : {4, 64, 65, 500}) {
    for (const std::size_t count : {0, 1, 300}) {
      Dice dice(strings + count);
      std::vector<ModelRow> rows = test::random_rows(dice, count, strings);
      AttributeTable table = table_of(rows);
      // Lists that have moved are saved in the order of the rows.
      for (std::size_t i = 0; i < count; ++i) {
        const auto row = static_cast<std::uint32_t>(dice.below(count));
        rows[row] = test::random_row(dice, strings);
        table.overwrite({row}, test::batch_of({rows[row]}, true));
      }
      save(table, path);
      AttributeTable opened = open(path);
      CHECK(test::holds_rows(opened, rows));
      CHECK_EQUAL(opened.columns().size(), 3);
      CHECK(opened.find("tags") == 2);
      CHECK(opened.columns()[1].spec.kind == AttributeKind::kCategory);
      CHECK_EQUAL(read_attribute_schema(SnapshotReader(path)).size(), 3);
      save(opened, folder.file("again.lichen"));
      CHECK(test::read_file(path) == test::read_file(folder.file("again.lichen")));
      const std::vector<ModelRow> more = test::random_rows(dice, 90, 600);
      opened.append(test::batch_of(more), more.size());
      rows.insert(rows.end(), more.begin(), more.end());
      CHECK(test::holds_rows(opened, rows));
    }
  }
}

TEST_CASE("attribute sections: a table without columns writes none, a file without gives one") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("attributes.lichen");
  AttributeTable table;
  table.append({}, 5);
  std::vector<SectionData> sections;
  describe_attributes(table, sections);
  CHECK(sections.empty());
  save(table, path);
  CHECK_EQUAL(open(path).rows(), 5);
  CHECK(open(path).columns().empty());
}

TEST_CASE("attribute sections: every truncation and every flipped bit is noticed") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("attributes.lichen");
  for (const std::size_t strings : {6, 100}) {
    Dice dice(strings);
    const std::vector<ModelRow> rows = test::random_rows(dice, 60, strings);
    save(table_of(rows), path);
    const std::vector<char> good = test::read_file(path);
    for (std::size_t length = 0; length < good.size(); length += 7) {
      test::write_file(path, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
      CHECK_THROWS(Code::kFormat, open(path));
    }
    std::size_t unnoticed = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::vector<char> bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << dice.below(8)));
      test::write_file(path, bad);
      try {
        CHECK(test::holds_rows(open(path), rows));
        ++unnoticed;  // a gap between sections, which nobody reads
      } catch (const Error& error) {
        CHECK(error.code() == Code::kFormat || error.code() == Code::kUnsupported);
      }
    }
    CHECK(unnoticed < 64 * 6);
  }
}

TEST_CASE("attribute sections: each kind of damage behind sound checksums is refused") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("attributes.lichen");
  AttributeTable table({{"genre", AttributeKind::kCategory}, {"tags", AttributeKind::kTags}});
  AttributeBatch batch;
  batch.columns.resize(2);
  batch.columns[0].given = true;
  batch.columns[0].strings = {"ab", "cd"};
  batch.columns[0].codes = {1, 2};
  batch.columns[1].given = true;
  batch.columns[1].offsets = {0, 70, 70};
  for (std::uint32_t i = 0; i < 70; ++i) {
    batch.columns[1].strings.push_back(std::to_string(i));
    batch.columns[1].codes.push_back(i);
  }
  table.append(batch, 2);
  save(table, path);
  const std::vector<char> good = test::read_file(path);
  // Puts a number into one of the sections: schema, codes, offsets, tags.
  const auto refuse = [&](std::size_t section, std::size_t at, std::uint32_t number) {
    test::write_file(path, forged(good, [&](SnapshotHeader&, auto& sections, auto& bytes) {
                       std::memcpy(bytes.data() + sections[section].offset + at, &number,
                                   sizeof number);
                     }));
    CHECK_THROWS(Code::kFormat, open(path));
  };
  // The schema: version, columns; kind, bytes of the name, strings, bytes of the strings, "genre".
  constexpr std::size_t kLengths = 8 + 24 + 5;
  refuse(0, 0, 2);                           // version
  refuse(0, 4, 3);                           // a column more than there is
  refuse(0, 4, 1);                           // bytes behind the last column
  refuse(0, 8, 3);                           // kind
  refuse(0, 8, 0);                           // a number with strings
  refuse(0, 12, 0);                          // a name of no bytes
  refuse(0, 16, 0x7FFFFFFF);                 // strings
  refuse(0, kLengths, 1);                    // a string shorter than it is
  refuse(0, kLengths, 3);                    // and longer
  refuse(0, kLengths, kMaxStringBytes + 1);  // and longer than any may be
  refuse(0, kLengths + 8, 0x62616261);       // "ab" twice
  refuse(1, 4, 3);                           // a code of no string
  refuse(2, 0, 1);                           // offsets that do not begin at 0
  refuse(2, 8, 71);                          // or go back
  refuse(2, 16, 69);                         // or do not end with the tags
  refuse(3, 4, 0);                           // a tag twice
  refuse(3, 4, 70);                          // a tag that is not there
  test::write_file(path, good);
  CHECK_EQUAL(open(path).rows(), 2);
}

TEST_CASE("attribute sections: hostile content behind sound checksums is refused or harmless") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("attributes.lichen");
  std::size_t refused = 0;
  for (std::uint64_t round = 0; round < 6000; ++round) {
    Dice dice(round);
    const std::size_t strings = round % 2 == 0 ? 6 : 100;
    static std::vector<char> saved[2];
    std::vector<char>& good = saved[round % 2];
    if (good.empty()) {
      save(table_of(test::random_rows(dice, 40, strings)), path);
      good = test::read_file(path);
    }
    test::write_file(path, forged(good, [&](SnapshotHeader& header, auto& table, auto& bytes) {
                       if (dice.one_in(20))
                         header.rows = dice.one_in(2) ? dice.below(80) : splitmix64(round, 9);
                       SectionEntry& section = table[dice.one_in(2) ? 0 : dice.below(table.size())];
                       if (dice.one_in(8)) {
                         section.bytes = dice.below(section.bytes + 1);
                       } else if (dice.one_in(8)) {
                         section.type = static_cast<std::uint32_t>(64 + dice.below(140));
                       } else {
                         for (std::size_t i = 1 + dice.below(3); i > 0; --i) {
                           char& byte = bytes[section.offset + dice.below(section.bytes)];
                           byte = static_cast<char>(dice.one_in(2) ? byte ^ (1 << dice.below(8))
                                                                   : dice.below(256));
                         }
                       }
                     }));
    try {
      AttributeTable opened = open(path);
      std::vector<std::uint64_t> words(opened.rows() / 64 + 1);
      for (std::size_t c = 0; c < opened.columns().size(); ++c) {
        Predicate predicate;
        predicate.kind = PredicateKind::kPresent;
        predicate.column = static_cast<std::uint32_t>(c);
        AttributeMatcher(opened, predicate).evaluate(0, opened.rows(), words.data());
        for (std::size_t r = 0; r < opened.rows(); ++r) {
          if (opened.columns()[c].spec.kind == AttributeKind::kTags) opened.tags(c, r);
          if (opened.columns()[c].spec.kind == AttributeKind::kCategory) opened.category(c, r);
        }
      }
      opened.append(AttributeBatch::of_none(opened.columns().size()), 3);
    } catch (const Error& error) {
      CHECK(error.code() == Code::kFormat);
      ++refused;
    } catch (const std::bad_alloc&) {
      CHECK(false);  // sizes are checked before memory is taken
    }
  }
  CHECK(refused > 2000);
}

}  // namespace lichen
