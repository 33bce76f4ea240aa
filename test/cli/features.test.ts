import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

const LICHEN = JSON.stringify(join(__dirname, '..', '..', 'dist', 'index.js'));

const definitions = (csv: string) => `
import lichen from ${LICHEN};
const { batchView, csvSource, entity, feature, featureService, onDemandView } = lichen;
const track = entity('track', { keys: 'integer' });
export const profile = batchView({
  name: 'profile', entity: track, ttlMs: 1e12,
  features: { plays: feature.i32(), title: feature.text({ default: '?' }), vector: feature.vector(2) },
  source: csvSource(${JSON.stringify(csv)}),
});
const age = onDemandView({
  name: 'twice', request: { by: feature.f64() }, uses: [profile], features: { plays: feature.f64() },
  compute: ({ request, features }) => ({ plays: request.by * features.profile.plays }),
});
export const ranker = featureService({ name: 'ranker', version: 1, views: [profile, age] });
`;

interface Got {
  service: string;
  signature: string;
  rows: Record<string, { status: string; time: string | null; features: object }>[];
}

describe('lichen features', () => {
  const at = temporaryFolder();
  const csv = at('rows.csv');
  const module = at('features.mjs');
  writeFileSync(
    csv,
    'track,event_time,plays,title,vector\n1,2026-01-01T00:00:00Z,5,one,"[1,2]"\n2,2026-01-02T00:00:00Z,7,two,"[3,4]"\n',
  );
  writeFileSync(module, definitions(csv));
  const store = ['--definitions', module, '--store', `lmdb:${at('store')}`];

  it('loads, gets and tells', () => {
    const before = lichenJson<{ views: object[] }>('features', 'stats', ...store);
    expect(before.views).toMatchObject([
      { view: 'profile', entries: 0, ageMs: null, writtenAt: null },
    ]);
    const loaded = lichenJson<{ views: object[] }>('features', 'materialize', ...store);
    expect(loaded.views).toMatchObject([{ view: 'profile', rows: 2, written: 2, invalid: 0 }]);
    const again = lichenJson<{ views: object[] }>('features', 'materialize', ...store);
    expect(again.views).toMatchObject([{ rows: 0, resumedAt: 2 }]);
    const fresh = lichenJson<{ views: object[] }>('features', 'materialize', ...store, '--fresh');
    expect(fresh.views).toMatchObject([{ rows: 2 }]);
    const get = ['features', 'get', ...store, '--keys', '{"track":[2,3]}', '--request', '{"by":3}'];
    const got = lichenJson<Got>(...get);
    expect(got.signature).toMatch(/^ranker@1:[0-9a-f]{16}$/);
    expect(got.rows[0]).toMatchObject({
      profile: {
        status: 'found',
        time: '2026-01-02T00:00:00.000Z',
        features: { plays: 7, title: 'two', vector: [3, 4] },
      },
      twice: { status: 'found', features: { plays: 21 } },
    });
    expect(got.rows[1]!.profile).toEqual({
      status: 'missing',
      time: null,
      features: { plays: 0, title: '?', vector: [0, 0] },
    });
    const after = lichenJson<{ views: object[] }>('features', 'stats', ...store);
    expect(after.views).toMatchObject([{ entries: 2, expired: 0, source: { name: csv, rows: 2 } }]);
    const { stdout } = lichen('features', 'stats', ...store);
    expect(stdout).toMatch(/profile +batch +2 /);
    expect(lichen(...get).stdout).toMatch(/profile: found since 2026-01-02/);
  });

  it('says in one line what is wrong', () => {
    writeFileSync(at('nothing.mjs'), 'export const a = 5;');
    writeFileSync(at('broken.mjs'), 'export const a = ;');
    const keys = ['--keys', '{"track":[1]}'];
    for (const [args, status, message] of [
      [['features', 'stats'], 2, /--definitions/],
      [['features', 'get', ...store], 2, /--keys/],
      [['features', 'get', ...store, '--keys', '{'], 2, /JSON/],
      [['features', 'nonsense'], 2, /ERR_LICHEN_ARGUMENT/],
      [['features', 'get', ...store, '--keys', '{"user":[1]}'], 1, /no entity "user"/],
      [['features', 'get', ...store, ...keys], 1, /by of the request must be a finite number/],
      [['features', 'get', ...store, ...keys, '--service', 'x'], 1, /no service "x", but ranker/],
      [['features', 'materialize', ...store, '--view', 'x'], 1, /no batch view "x", but profile/],
      [
        ['features', 'stats', '--definitions', at('none.mjs'), '--store', 'lmdb:x'],
        1,
        /cannot load .*ERR_LICHEN_NOT_FOUND/,
      ],
      [
        ['features', 'stats', '--definitions', at('broken.mjs'), '--store', 'lmdb:x'],
        1,
        /cannot load/,
      ],
      [['features', 'stats', '--definitions', at('nothing.mjs'), '--store', 'lmdb:x'], 1, /EMPTY/],
      [['features', 'stats', '--definitions', module, '--store', 'mysql:x'], 1, /a store is lmdb/],
    ] as const) {
      const run = lichen(...args);
      expect([run.status, run.stderr]).toEqual([status, expect.stringMatching(message)]);
      expect(run.stderr.trim().split('\n')).toHaveLength(1);
    }
  });
});
