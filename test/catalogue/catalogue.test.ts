import { describe, expect, it } from 'vitest';
import { makeCatalogue } from '../../src/catalogue/catalogue.js';
import { GENRES } from '../../src/catalogue/names.js';
import { itemsOf } from '../../src/interactions/interactions.js';

describe('the built-in catalogue', () => {
  const { tracks, listeners, train, test } = makeCatalogue();

  it('has the sizes asked for and distinct names', () => {
    expect(tracks.length).toBe(3000);
    expect(listeners.length).toBe(2000);
    expect(new Set(tracks.map(({ title }) => title)).size).toBe(3000);
    expect(new Set(tracks.map(({ genre }) => genre))).toEqual(new Set(GENRES));
    for (const artist of new Set(tracks.map((track) => track.artist))) {
      const genres = tracks.filter((track) => track.artist === artist).map(({ genre }) => genre);
      expect(new Set(genres).size).toBe(1);
    }
  });

  it('keeps a fifth of each listener for the test, nothing of it in train', () => {
    expect(train.report.duplicates + test.report.duplicates).toBe(0);
    for (let user = 0; user < 2000; user++) {
      const kept = itemsOf(train, user);
      const later = itemsOf(test, user);
      const all = kept.length + later.length + test.unknownItems[user]!;
      expect(kept.length).toBe(Math.ceil(all * 0.8));
      expect(all).toBeGreaterThanOrEqual(15);
      expect(Array.from(later).filter((item) => kept.includes(item))).toEqual([]);
    }
  });

  it('plays a few tracks often and follows taste', () => {
    const plays = new Uint32Array(train.items.size);
    for (const item of train.itemIndices) plays[item]!++;
    const sorted = [...plays].sort((a, b) => b - a);
    const top = sorted.slice(0, 300).reduce((sum, count) => sum + count, 0);
    expect(top / train.report.kept).toBeGreaterThan(0.35);
    let liked = 0;
    for (let user = 0; user < 2000; user++) {
      for (const item of itemsOf(train, user)) {
        const { genre } = tracks[Number(train.items.idAt(item))]!;
        liked += Number(listeners[user]!.genres.includes(genre));
      }
    }
    expect(liked / train.report.kept).toBeGreaterThan(0.6);
  });

  it('is decided by its seed', () => {
    const small = { listeners: 50, tracks: 240 };
    const one = makeCatalogue({ ...small, seed: 1 });
    expect(makeCatalogue({ ...small, seed: 1 }).train.itemIndices).toEqual(one.train.itemIndices);
    expect(makeCatalogue({ ...small, seed: 2 }).train.itemIndices).not.toEqual(
      one.train.itemIndices,
    );
  });

  it.each([{ listeners: 0 }, { tracks: 239 }, { tracks: 300.5 }, { seed: -1 }])(
    'refuses %j',
    (options) => {
      expect(() => makeCatalogue(options)).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
      );
    },
  );
});
