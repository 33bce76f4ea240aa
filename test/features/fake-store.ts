import type { FeatureKey } from '../../src/features/keys.js';
import type {
  Checkpoint,
  OnlineStore,
  ReadRequest,
  RecordVisitor,
  WriteBatch,
} from '../../src/features/store.js';

/** A store in memory whose requests can be made to wait and to fail, and are counted. */
export class FakeStore implements OnlineStore {
  readonly kind = 'fake';
  readonly records = new Map<string, Uint8Array>();
  readonly checkpoints = new Map<string, Checkpoint>();
  /** Requests so far, with how many keys of each table. */
  readonly reads: Record<string, number>[] = [];
  failing = false;
  /** Reads wait for this. */
  gate: Promise<void> | undefined;

  async read(requests: readonly ReadRequest[], visit: RecordVisitor): Promise<void> {
    this.reads.push(Object.fromEntries(requests.map(({ table, keys }) => [table, keys.length])));
    await this.gate;
    if (this.failing) throw new Error('the store is down');
    requests.forEach(({ table, keys }, request) =>
      keys.forEach((key, at) => visit(request, at, this.records.get(place(table, key)))),
    );
  }

  async write({ table, entries, checkpoint }: WriteBatch): Promise<number> {
    if (this.failing) throw new Error('the store is down');
    for (const { key, record } of entries) this.records.set(place(table, key), record);
    if (checkpoint !== undefined) {
      const { name, expected, text } = checkpoint;
      this.checkpoints.set(name, { sequence: expected + 1, text });
    }
    return Promise.resolve(entries.length);
  }

  checkpoint(name: string): Promise<Checkpoint | undefined> {
    return Promise.resolve(this.checkpoints.get(name));
  }

  prune(): Promise<number> {
    return Promise.resolve(0);
  }

  scan(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function place(table: string, key: FeatureKey): string {
  return `${table} ${typeof key} ${key}`;
}
