import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openIndex } from '../../src/index/open.js';
import { inspectSnapshot } from '../../src/index/snapshot.js';
import type { Key } from '../../src/index/types.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { answersOf, GOLDEN_INDEXES, SINCE, type Answers, type Found } from './indexes.js';

const VERSIONS = readdirSync(__dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();
// Version and name: what a version could write.
const FILES = VERSIONS.flatMap((version, at) =>
  Object.keys(GOLDEN_INDEXES)
    .filter((name) => at >= VERSIONS.indexOf(SINCE[name] ?? 'v1'))
    .map((name) => [version, name] as const),
);
const WAYS = [{}, { map: true }, { map: true, verify: 'full' }] as const;

/** The same keys, and scores that differ by rounding only. */
function expectFound(found: readonly Found[], wanted: readonly Found[]): void {
  expect(found.map(({ keys }) => keys)).toEqual(wanted.map(({ keys }) => keys));
  found.forEach(({ scores }, at) => {
    scores.forEach((score, place) => expect(score).toBeCloseTo(wanted[at]!.scores[place]!, 3));
  });
}

describe('golden files', () => {
  it('are there for every version of the format', () => {
    expect(VERSIONS).toContain('v1');
    for (const [version, name] of FILES) {
      const file = join(__dirname, version, `${name}.lichen`);
      expect(existsSync(file), `${version} ${name}`).toBe(true);
    }
  });
});

describe.each(FILES)('the golden file %s %s', (version, name) => {
  const at = temporaryFolder();
  const file = join(__dirname, version, `${name}.lichen`);
  const wanted = JSON.parse(
    readFileSync(join(__dirname, version, `${name}.json`), 'utf8'),
  ) as Answers;

  it.each(WAYS)('opens with %o and answers as it did', async (options) => {
    const index = await openIndex<Key>(file, options);
    const answers = answersOf(index);
    expect([answers.size, answers.keyKind]).toEqual([wanted.size, wanted.keyKind]);
    expectFound(answers.plain, wanted.plain);
    expectFound(answers.where, wanted.where);
    index.close();
  });

  it('is sound by its checksums', async () => {
    const { sections } = await inspectSnapshot(file);
    expect(sections.every(({ ok }) => ok)).toBe(true);
  });

  it('is written anew so that it answers the same', async () => {
    const index = await openIndex<Key>(file);
    await index.save(at('again.lichen'));
    const again = await openIndex<Key>(at('again.lichen'), { map: true });
    expect(answersOf(again)).toEqual(answersOf(index));
  });
});
