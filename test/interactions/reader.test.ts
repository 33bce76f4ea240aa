import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInteractions } from '../../src/interactions/reader.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { sharedData } from '../vectors/shared-data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { awkwardIds, naive, pairsOf, plain, plainIds, type Pair } from './naive.js';

/** How a text is laid down in a file. */
interface Dress {
  newline: string;
  mark: boolean;
  gzip: boolean;
  /** Blank lines, and spaces at the ends of lines. */
  loose: boolean;
}

const dresses: fc.Arbitrary<Dress> = fc.record({
  newline: fc.constantFrom('\n', '\r\n'),
  mark: fc.boolean(),
  gzip: fc.boolean(),
  loose: fc.boolean(),
});

const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** Lines of the same user that follow one another become one; the last may be cut in two. */
function adjacencyLines(pairs: readonly Pair[], separator: string): string[] {
  const lines: string[][] = [];
  for (const { user, item } of pairs) {
    const last = lines[lines.length - 1];
    if (last?.[0] === user && last.length < 5) last.push(item);
    else lines.push([user, item]);
  }
  return lines.map((line) => line.join(separator));
}

describe('readInteractions', () => {
  const at = temporaryFolder();
  const write = (name: string, lines: readonly string[], dress: Dress): string => {
    const text = lines
      .flatMap((line) => (dress.loose ? ['', `${line}  `, ' '] : [line]))
      .join(dress.newline);
    const path = at(dress.gzip ? `${name}.gz` : name);
    const bytes = Buffer.from((dress.mark ? '\ufeff' : '') + text);
    writeFileSync(path, dress.gzip ? gzipSync(bytes) : bytes);
    return path;
  };
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(at(name), content);
    return at(name);
  };

  it('reads adjacency lines as sets and objects do', async () => {
    const given = fc.option(fc.uniqueArray(plainIds, { minLength: 1, maxLength: 12 }), {
      nil: undefined,
    });
    const separators = fc.constantFrom(' ', '\t', '  ', ' \t');
    await fc.assert(
      fc.asyncProperty(
        pairsOf(plainIds),
        given,
        given,
        separators,
        dresses,
        async (pairs, users, items, separator, dress) => {
          const expected = naive(pairs, { ...(users && { users }), ...(items && { items }) });
          const reading = readInteractions(
            write('a.txt', adjacencyLines(pairs, separator), dress),
            {
              users: users && Vocabulary.ordered(users),
              items: items && Vocabulary.ordered(items),
            },
          );
          if (expected.report.unknownUserPairs === pairs.length) {
            await expect(reading).rejects.toThrow('holds interactions of unknown users only');
          } else expect(plain(await reading)).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('reads rows as sets and objects do', async () => {
    const kinds = fc.constantFrom(
      { name: 'r.csv', separator: ',', quoted: true },
      { name: 'r.tsv', separator: '\t', quoted: true },
      { name: 'r.csv', separator: ' , ', quoted: true },
      { name: 'r.csv', separator: ' ', quoted: false },
      { name: 'r.tsv', separator: '   ', quoted: false },
      { name: 'R.CSV', separator: ',', quoted: false },
    );
    const columns = fc.constantFrom<2 | 3 | 4>(2, 3, 4);
    const cases = fc.tuple(kinds, columns, fc.boolean()).chain(([kind, count, header]) =>
      fc.record({
        kind: fc.constant(kind),
        count: fc.constant(count),
        header: fc.constant(header),
        // The first line says the separator, so no tab may stand in a field of a csv.
        pairs: pairsOf(
          kind.quoted ? awkwardIds.filter((id) => !id.includes('\t')) : plainIds,
          count,
        ),
        dress: dresses,
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ kind, count, header, pairs, dress }) => {
        const field = kind.quoted ? quote : (text: string) => text;
        const lines = pairs.map(({ user, item, rating, timestamp }) =>
          [field(user), field(item), rating, timestamp].slice(0, count).join(kind.separator),
        );
        const names = ['user_id', 'Item ID', 'rating', 'timestamp'].slice(0, count);
        if (kind.separator.trim() === '' && kind.separator !== '\t') names[1] = 'item';
        if (header) lines.unshift(names.join(kind.separator));
        const got = await readInteractions(write(kind.name, lines, dress));
        expect(plain(got)).toEqual(naive(pairs, {}));
      }),
      { numRuns: 200 },
    );
  });

  it('reads lines that span the chunks of a file', async () => {
    // 6 MB in lines of some hundred kB, so that chunks of 1 MiB end within ids.
    const pairs: Pair[] = [];
    const lines: string[] = [];
    for (let user = 0; user < 40; user++) {
      const ids = Array.from({ length: 20_000 }, (_, n) => `${(n * 7919 + user) % 50_021}`);
      lines.push([`u${user}`, ...ids].join(' '));
      ids.forEach((item) => pairs.push({ user: `u${user}`, item }));
    }
    for (const gzip of [false, true]) {
      const path = write('wide.txt', lines, { newline: '\r\n', mark: true, gzip, loose: false });
      const got = await readInteractions(path);
      expect(got.report).toMatchObject({ pairs: 800_000, kept: 800_000 });
      for (let n = 0; n < pairs.length; n += 997) {
        const { user, item } = pairs[n]!;
        const index = got.itemIndices[got.offsets[got.users.indexOf(user)]! + (n % 20_000)]!;
        expect(got.items.idAt(index)).toBe(item);
      }
    }
  });

  it('keeps a user without items', async () => {
    const got = await readInteractions(file('alone.txt', '3\n1 7\n0\n'));
    expect([got.users.keys(), got.offsets]).toEqual([
      Float64Array.of(0, 1, 3),
      Uint32Array.of(0, 0, 1, 1),
    ]);
    const known = await readInteractions(file('alone.txt', '3\n1 7\n9\n'), {
      users: Vocabulary.from(['1']),
    });
    expect(known.report).toMatchObject({ unknownUsers: 2, unknownUserPairs: 0, kept: 1 });
  });

  it('follows the format that is told rather than the name', async () => {
    const path = file('told.txt', '1 2 5\n');
    expect((await readInteractions(path)).report.pairs).toBe(2);
    expect((await readInteractions(path, { format: 'rows' })).ratings).toEqual(Float32Array.of(5));
    const csv = file('told.csv', '1 2 5\n');
    expect((await readInteractions(csv, { format: 'adjacency' })).report.pairs).toBe(2);
  });

  it.each([
    ['e.txt', '', 'EMPTY', /e\.txt holds no interactions \(read with format adjacency; .* rows\)$/],
    ['e.txt', '1\n2\n', 'EMPTY', /holds no interactions/],
    ['e.csv', 'user,item\n', 'EMPTY', /holds no interactions \(read with format rows;/],
    ['z.txt', '1 2\n1 \0', 'FORMAT', /z\.txt, line 2: expected text .*, got a zero byte$/],
    [
      'u.txt',
      Buffer.from('1 2\n1 caf\xe9', 'latin1'),
      'FORMAT',
      /line 2: expected UTF-8 text, got/,
    ],
    ['u.csv', Buffer.from('a,b\na,\xe9', 'latin1'), 'FORMAT', /u\.csv, line 2: expected UTF-8/],
    ['w.txt', Buffer.from('\ufeff1 2\n', 'utf16le'), 'FORMAT', /line 1: expected UTF-8 text/],
    ['z.csv', 'a,b\nc,d\0\n', 'FORMAT', /line 2: expected text, got a zero byte$/],
    [
      'l.txt',
      `1 2\n1 ${'x'.repeat(70000)}`,
      'FORMAT',
      /line 2: expected ids of at most 65536 bytes, got one of 70000$/,
    ],
    ['g.txt.gz', 'no gzip', 'FORMAT', /not a whole gzip file/],
    ['r.csv', 'a,b\n\n1,2,3\n', 'FORMAT', /r\.csv, line 3: expected 2 fields, got 3$/],
  ])('refuses %s (%#)', async (name, content, code, message) => {
    await expect(readInteractions(file(name, content))).rejects.toMatchObject({
      name: 'LichenFileError',
      code: `ERR_LICHEN_${code}`,
      message: expect.stringMatching(message) as string,
    });
  });

  it('takes U+FFFD and long ids for what they are', async () => {
    const long = 'x'.repeat(65536);
    const got = await readInteractions(file('ok.txt', `\ufffd ${long}\n`));
    expect([got.users.idAt(0), got.items.idAt(0)]).toEqual(['\ufffd', long]);
  });

  it('refuses bad arguments, missing files, folders and aborted work', async () => {
    const path = file('ok.txt', '1 2\n');
    const signal = AbortSignal.abort();
    const refused: [() => Promise<unknown>, string, string | RegExp][] = [
      [() => readInteractions(7 as never), 'ARGUMENT', 'path must be the name of a file, got 7'],
      [() => readInteractions(''), 'ARGUMENT', 'path must be the name of a file, got ""'],
      [
        () => readInteractions(path, { format: 'csv' as never }),
        'ARGUMENT',
        'format must be adjacency or rows, got "csv"',
      ],
      [
        () => readInteractions(path, { users: ['1'] as never }),
        'ARGUMENT',
        'users must be a Vocabulary, got an array',
      ],
      [() => readInteractions(at('none.txt')), 'NOT_FOUND', /no such file/],
      [() => readInteractions(at('.')), 'IO', /folder/],
      [() => readInteractions(path, { signal }), 'ABORTED', /aborted/],
    ];
    for (const [read, code, message] of refused) {
      await expect(read()).rejects.toThrow(message);
      await expect(read()).rejects.toMatchObject({ code: `ERR_LICHEN_${code}` });
    }
  });

  const train = sharedData('gowalla', 'train.txt.gz');
  it.skipIf(train.missing)(`reads the Gowalla training set${train.note}`, async () => {
    const got = await readInteractions(train.path);
    expect([got.users.size, got.items.size, got.itemIndices.length]).toEqual([
      29_858, 40_981, 810_128,
    ]);
    expect(got.report).toMatchObject({ pairs: 810_128, kept: 810_128, duplicates: 0 });
    expect(got.users.identity && got.items.identity).toBe(true);
    const lines = gunzipSync(readFileSync(train.path)).toString().trim().split('\n');
    lines.forEach((line, n) => {
      if (n % 101 !== 0) return;
      const [user, ...items] = line.trim().split(' ').map(Number);
      const [from, to] = [got.offsets[user!], got.offsets[user! + 1]];
      expect([...got.itemIndices.subarray(from, to)]).toEqual(items);
    });
    // About 0.2 s on the two cores where it was written; far more would be a defect.
    const begun = performance.now();
    await readInteractions(train.path);
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  const test = sharedData('gowalla', 'test.txt.gz');
  it.skipIf(test.missing || train.missing)(
    `reads the Gowalla test set under the training set's ids${test.note}`,
    async () => {
      const { users, items } = await readInteractions(train.path);
      const got = await readInteractions(test.path, { users, items });
      expect(got.report.pairs).toBe(217_242);
      expect(got.report.kept + got.report.unknownItemPairs).toBe(217_242);
      expect([got.users, got.items, got.report.unknownUsers]).toEqual([users, items, 0]);
    },
  );
});
