// Loads rows and adds events up in an LMDB store until it is killed; says how far it has come. Arguments: folder, rows.
import { openLmdbStore } from '../../src/features/lmdb-store.js';
import { materialize } from '../../src/features/materialize.js';
import { StreamWriter } from '../../src/features/stream.js';
import { loadedRows, NOW, plays, profile, playBatch } from './restart-views.js';

async function main(): Promise<void> {
  const [path] = process.argv.slice(2);
  const store = await openLmdbStore({ path: path! });
  const writer = await StreamWriter.open(plays, store, { time: () => NOW });
  const loading = materialize(profile, store, {
    source: loadedRows(),
    time: () => NOW,
    onProgress: (done) => process.stdout.write(`rows ${done}\n`),
  });
  for (let at = Number(writer.position ?? -1) + 1; at < 400; at++) {
    await writer.ingest(playBatch(at), { position: String(at) });
    process.stdout.write(`events ${at}\n`);
  }
  await loading;
  await store.close();
  process.stdout.write('end\n');
}

void main();
