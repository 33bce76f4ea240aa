import type { Cluster } from './connection.js';

/** Chunks without an object are what a process left that died while it put one; before that they may be of one that is being put. */
const ORPHANED_MS = 3600_000;
/** Messages that are removed at a time. */
const AT_ONCE = 32;
const FETCH_MS = 5000;
/** A purge of some subjects of a stream is subtracted from what its server has stored as of this version. */
const COUNTS_PURGES = [2, 9, 15] as const;

/**
 * Removes an object whole; nothing if it is not there. The client of NATS leaves a note of every object that there ever was.
 * @throws what NATS does.
 */
export async function removeObject(cluster: Cluster, name: string): Promise<void> {
  const store = await cluster.snapshots();
  const info = await store.info(name);
  if (info === null) return;
  // First of all, so that nobody begins to read it.
  await removeMessage(cluster, info.revision);
  await removeChunks(cluster, info.nuid);
}

/** Removes what is stored of an object that nobody is told of. */
export async function removeChunks(cluster: Cluster, nuid: string): Promise<void> {
  const { manager, names, connection } = cluster;
  const filter = names.snapshotChunks(nuid);
  if (!isAtLeast(connection.info?.version ?? '', COUNTS_PURGES)) await removeEach(cluster, filter);
  await manager.streams.purge(names.snapshotStream, { filter });
}

/**
 * Removes messages one by one. Older servers count what a purge removes as stored until they are started anew, and take no
 * more when that comes to what they may store: https://github.com/nats-io/nats-server/pull/3876
 */
async function removeEach(cluster: Cluster, subject: string): Promise<void> {
  const stream = cluster.names.snapshotStream;
  const { state } = await cluster.manager.streams.info(stream, { subjects_filter: subject });
  let left = state.subjects?.[subject] ?? 0;
  if (left === 0) return;
  const consumer = await cluster.jetstream.consumers.get(stream, {
    ...{ filter_subjects: subject, headers_only: true },
  });
  try {
    for (let before = Infinity; left > 0 && left < before;) {
      before = left;
      const most = Math.min(left, AT_ONCE);
      const messages = await consumer.fetch({ max_messages: most, expires: FETCH_MS });
      const removals: Promise<void>[] = [];
      for await (const { seq } of messages) {
        const removal = removeMessage(cluster, seq);
        // What fails is told below; until then it must not end the process.
        removal.catch(() => undefined);
        removals.push(removal);
        if (removals.length === most) break;
      }
      await Promise.all(removals);
      left -= removals.length;
    }
  } finally {
    await consumer.delete().catch(() => undefined);
  }
}

async function removeMessage({ manager, names }: Cluster, seq: number): Promise<void> {
  await manager.streams.deleteMessage(names.snapshotStream, seq, false);
}

/**
 * Removes snapshots of a shard that end with changes before one, and what processes that died have left of theirs.
 * @throws what NATS does.
 */
export async function removeOlder(
  cluster: Cluster,
  { epoch, shard }: { readonly epoch: number; readonly shard: number },
  sequence: number,
  orphanedMs = ORPHANED_MS,
): Promise<void> {
  const store = await cluster.snapshots();
  const objects = await store.list();
  const begin = `${epoch}-${shard}-`;
  const older = objects.filter(
    ({ name }) =>
      name.startsWith(begin) && Number.parseInt(name.slice(begin.length), 10) < sequence,
  );
  // Another replica may be about to remove the same; whatever is left is removed by the next.
  await Promise.allSettled(older.map(({ name }) => removeObject(cluster, name)));
  await removeOrphans(cluster, new Set(objects.map(({ nuid }) => nuid)), orphanedMs);
}

async function removeOrphans(
  cluster: Cluster,
  known: ReadonlySet<string>,
  orphanedMs: number,
): Promise<void> {
  const { manager, names } = cluster;
  const stream = names.snapshotStream;
  const begin = names.snapshotChunks();
  const { state } = await manager.streams.info(stream, { subjects_filter: `${begin}>` });
  for (const subject of Object.keys(state.subjects ?? {})) {
    const nuid = subject.slice(begin.length);
    if (known.has(nuid)) continue;
    const last = await manager.streams.getMessage(stream, { last_by_subj: subject });
    if (last === null || Date.now() - last.time.getTime() < orphanedMs) continue;
    await removeChunks(cluster, nuid);
  }
}

function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [at, part] of wanted.entries()) {
    if (parts[at] !== part) return (parts[at] ?? 0) > part;
  }
  return true;
}
