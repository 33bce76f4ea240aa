import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClusterNames, requireName, shardOf, wellFormed } from '../../src/cluster/names.js';
import type { Key } from '../../src/index/types.js';
import { codeThrown } from './thrown.js';
import { anyText } from './write-data.js';

const KEYS: readonly Key[] = [
  ...[0, -0, 1, 2, 3, 10, 1000, -1, -1000, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32],
  ...[2 ** 32 + 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  ...['', 'a', 'b', 'ab', 'ba', '1', 'track:42', 'é', 'e\u0301', '日本', '𐍈', '\u0000'],
  ...['\ud800', '\ufffd', 'a'.repeat(1000)],
];

describe('the shard of a key', () => {
  it('never becomes another: where vectors lie hangs on it', () => {
    for (const shards of [1, 3, 16, 1000]) {
      expect(KEYS.map((key) => shardOf(key, shards))).toEqual(GOLDEN[shards]);
    }
  });

  it('is one of the shards', () => {
    const key = fc.oneof(fc.maxSafeInteger(), anyText);
    fc.assert(
      fc.property(key, fc.integer({ min: 1, max: 1024 }), (some, shards) => {
        const shard = shardOf(some, shards);
        expect(Number.isInteger(shard) && shard >= 0 && shard < shards).toBe(true);
      }),
    );
  });

  it('is the same of texts that are one key to an index, which keeps UTF-8', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const kept = Buffer.from(text).toString();
        expect(wellFormed(text)).toBe(kept);
        expect(shardOf(text, 1024)).toBe(shardOf(kept, 1024));
      }),
    );
    expect(wellFormed('a\ud800\udc00\udc00𐍈\ud800')).toBe('a\u{10000}\ufffd𐍈\ufffd');
  });

  it.each([
    ['numbers in a row', (at: number) => at],
    ['negative ones', (at: number) => -1 - at],
    ['multiples of 1,024', (at: number) => at * 1024],
    ['large ones', (at: number) => 2 ** 40 + at],
    ['multiples of 2 to the 32', (at: number) => at * 2 ** 32],
    ['short texts', (at: number) => `item-${at}`],
    ['long texts', (at: number) => `${'catalogue/'.repeat(9)}${at}`],
  ])('spreads %s evenly', (_, keyOf) => {
    const COUNT = 50_000;
    for (const shards of [2, 3, 8, 100]) {
      const sizes = new Array<number>(shards).fill(0);
      for (let at = 0; at < COUNT; at++) sizes[shardOf(keyOf(at), shards)]!++;
      // Five times the deviation that chance would have.
      const room = 5 * Math.sqrt((COUNT / shards) * (1 - 1 / shards));
      for (const size of sizes) expect(Math.abs(size - COUNT / shards)).toBeLessThan(room);
    }
  });
});

describe('names', () => {
  it('are letters, digits and hyphens', () => {
    for (const name of ['a', 'A9', '0', 'items', 'my-index-2', 'a'.repeat(48), 'a-']) {
      expect(requireName('name', name)).toBe(name);
      expect(() => new ClusterNames(name, name)).not.toThrow();
    }
  });

  it.each([
    ...['', '-a', 'a.b', 'a b', 'a*', '>', 'a>', '*', 'a_b', '_a', 'a/b', '..', 'a\n', '\n', 'é'],
    ...['a'.repeat(49), 'a\u0000', '$JS', undefined, null, 1, {}, ['a'], () => 'a'],
  ])('are refused where they are others (%#)', (name) => {
    const refused = 'ERR_LICHEN_ARGUMENT';
    expect(codeThrown(() => requireName('name', name))).toBe(refused);
    expect(codeThrown(() => new ClusterNames(name as string, 'a'))).toBe(refused);
    expect(codeThrown(() => new ClusterNames('a', name as string))).toBe(refused);
  });

  it('make subjects, streams and buckets, which are what nodes and clients agree on', () => {
    const names = new ClusterNames('acme', 'items');
    const { prefix, inbox, bucket, claims, snapshots, stats } = names;
    expect({ prefix, inbox, bucket, claims, snapshots, stats }).toEqual({
      prefix: 'lichen.acme.items',
      inbox: '_INBOX.acme',
      bucket: 'lichen_acme_items',
      claims: 'lichen_acme_items_claims',
      snapshots: 'lichen_acme_items_snapshots',
      stats: 'lichen.acme.items.stats',
    });
    expect([names.search(2), names.hedge(2, 7), names.ask(2, 7), names.write(2, 7)]).toEqual([
      'lichen.acme.items.2.search',
      'lichen.acme.items.2.7.hedge',
      'lichen.acme.items.2.7.ask',
      'lichen.acme.items.2.7.write',
    ]);
    expect(names.stream(2, 7)).toBe('LICHEN_acme_items_2_7');
  });

  it('of different indexes have nothing in common', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9-]{0,6}$/);
    const place = fc.tuple(name, name, fc.integer({ min: 1, max: 99 }), fc.nat(99));
    const all = ([tenant, index, epoch, shard]: readonly [string, string, number, number]) => {
      const names = new ClusterNames(tenant, index);
      const { bucket, claims, snapshots, stats } = names;
      return [
        ...[bucket, claims, snapshots, stats, names.stream(epoch, shard), names.search(epoch)],
        ...[names.hedge(epoch, shard), names.ask(epoch, shard), names.write(epoch, shard)],
      ];
    };
    fc.assert(
      fc.property(place, place, (one, other) => {
        fc.pre(one[0] !== other[0] || one[1] !== other[1]);
        const taken = new Set(all(one));
        expect(all(other).filter((some) => taken.has(some))).toEqual([]);
      }),
    );
  });
});

/** By number of shards. */
const GOLDEN: Record<number, readonly number[]> = {
  1: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  3: [0, 0, 0, 0, 1, 2, 1, 1, 2, 2, 0, 1, 2, 0, 0, 0, 2, 2, 0, 2, 2, 1, 0, 2, 1, 0, 1, 0, 2, 2, 0],
  16: [
    0, 0, 5, 3, 8, 14, 6, 8, 15, 15, 1, 6, 11, 0, 4, 2, 10, 14, 4, 13, 14, 6, 3, 13, 7, 4, 10, 0,
    14, 14, 2,
  ],
  1000: [
    0, 0, 317, 191, 523, 910, 400, 507, 938, 975, 87, 426, 731, 54, 261, 175, 668, 901, 276, 842,
    932, 394, 247, 843, 480, 292, 635, 21, 894, 894, 170,
  ],
};
