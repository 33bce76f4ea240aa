import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchView, entity, featureService } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { materialize } from '../../src/features/materialize.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { postgresSource } from '../../src/features/postgres-source.js';
import { POSTGRES_MISSING, POSTGRES_NOTE, startPostgres } from '../servers/postgres.js';
import { STORE_KINDS } from './stores.js';

const view = batchView({
  name: 'profile',
  entity: entity('track', { keys: 'integer' }),
  ttlMs: 1e12,
  columns: { time: 'changed' },
  features: { plays: feature.f64(), vector: feature.vector(2), title: feature.text() },
});
const service = featureService({ name: 's', version: 1, views: [view] });

describe.skipIf(POSTGRES_MISSING)(`a table of PostgreSQL as a source${POSTGRES_NOTE}`, () => {
  let postgres: Awaited<ReturnType<typeof startPostgres>>;
  let client: Client;
  const open = STORE_KINDS[0]!.prepare();

  beforeAll(async () => {
    postgres = await startPostgres();
    client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(`CREATE SCHEMA music; CREATE TABLE music.tracks (
      track bigint, changed timestamptz, plays numeric, vector real[], title text,
      version bigserial)`);
    await client.query(`INSERT INTO music.tracks
      SELECT n, now() - interval '1 hour', n * 0.5, ARRAY[n, 1], 't' || n FROM generate_series(1, 2500) n`);
  });
  afterAll(async () => {
    await client.end();
    await postgres.remove();
  });

  it('is read in pieces, and behind its cursor from then on', async () => {
    const store = await open();
    const source = postgresSource({ url: postgres.url, table: 'music.tracks', cursor: 'version' });
    const done: number[] = [];
    const report = await materialize(view, store, {
      source,
      onProgress: (rows) => void done.push(rows),
    });
    expect(report).toMatchObject({ rows: 2500, written: 2500 });
    expect(done).toEqual([1000, 2000, 2500]);
    await client.query(`INSERT INTO music.tracks VALUES (7, now(), 99, '{1,2}', 'new')`);
    expect(await materialize(view, store, { source })).toMatchObject({ rows: 1, written: 1 });
    const online = new OnlineFeatures(service, { store });
    const { columns } = await online.get({ track: [7, 8] });
    expect([...columns.profile.plays]).toEqual([99, 4]);
    expect([...columns.profile.vector.data]).toEqual([1, 2, 8, 1]);
    expect(columns.profile.title).toEqual(['new', 't8']);
  });

  it('is read whole each time without a cursor', async () => {
    const store = await open();
    const source = postgresSource({ url: postgres.url, table: 'music.tracks' });
    expect((await materialize(view, store, { source })).rows).toBe(2501);
    expect((await materialize(view, store, { source })).rows).toBe(2501);
  });

  it('says what is wrong', async () => {
    const store = await open();
    for (const wrong of [
      { table: 'music.none' },
      { table: 'music.tracks', cursor: 'none' },
      { table: 'music.tracks; DROP TABLE music.tracks' },
    ]) {
      const source = postgresSource({ url: postgres.url, ...wrong });
      await expect(materialize(view, store, { source })).rejects.toMatchObject({
        code: 'ERR_LICHEN_ARGUMENT',
      });
    }
    const nowhere = postgresSource({ url: 'postgres://127.0.0.1:1/x', table: 't' });
    await expect(materialize(view, store, { source: nowhere })).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
    });
    expect((await client.query('SELECT count(*) FROM music.tracks')).rowCount).toBe(1);
  });
});
