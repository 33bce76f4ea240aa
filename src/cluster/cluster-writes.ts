import { LichenArgumentError, LichenError, throwIfAborted } from '../errors.js';
import { toKeyList, toVectors } from '../index/arguments.js';
import type { AttributesInput } from '../index/attributes.js';
import type { VectorsInput } from '../index/types.js';
import {
  requireAllFinite,
  requireConfirm,
  requireDeadline,
  requireIdempotencyKey,
  type ClusterWriteOptions,
  type ResolvedClusterOptions,
  type WriteToken,
} from './cluster-options.js';
import type { ClusterView } from './cluster-view.js';
import { shardOf, wellFormed } from './names.js';
import { pause } from './pause.js';
import type { ShardMap } from './shard-map.js';
import { errorOfOutcome, toOutcome, type Outcome } from './shard-state.js';
import { askShard } from './shard-questions.js';
import {
  encodeWrite,
  pickColumns,
  pickKeys,
  pickVectors,
  toColumns,
  type Column,
  type KeyList,
  type WriteKind,
} from './write-message.js';
import {
  MOST_WRITE_MS,
  newWriterId,
  storePart,
  StreamEndedError,
  type StoredPart,
} from './writer.js';

/** A change as it was wanted, checked, not yet shared among shards. */
interface WantedWrite {
  readonly kind: WriteKind;
  readonly keys: KeyList;
  readonly vectors: Float32Array | undefined;
  readonly columns: Readonly<Record<string, Column>> | undefined;
}

/** Room for what NATS adds to a message. */
const OVERHEAD_BYTES = 1024;
const MOST_MAPS = 3;
const AGAIN_MS = 25;
/** Between two looks at the shard map. */
const LOOK_MS = 50;

/** The changes of a client: each goes to the streams of its shards. */
export class ClusterWrites {
  readonly #writer = newWriterId();
  #count = 0;
  /** The last change of each shard that this client made. */
  #last: WriteToken = { epoch: 0, sequences: [] };

  constructor(
    private readonly view: ClusterView,
    private readonly options: ResolvedClusterOptions,
  ) {}

  /** What searches of this client must find. */
  get token(): WriteToken {
    const { epoch, shards } = this.view.map;
    if (this.#last.epoch !== epoch) {
      this.#last = { epoch, sequences: new Array<number>(shards).fill(0) };
    }
    return this.#last;
  }

  /** @throws as {@link ClusterIndex.add} and its like. */
  async write(
    kind: WriteKind,
    keys: unknown,
    vectors: VectorsInput | undefined,
    attributes: AttributesInput | undefined,
    options: ClusterWriteOptions,
  ): Promise<WriteToken> {
    const { signal, idempotencyKey } = options;
    const confirm = requireConfirm(options.confirm ?? (kind === 'upsert' ? 'stored' : 'applied'));
    const deadlineMs = requireDeadline(
      options.deadline ?? this.options.writeDeadline,
      MOST_WRITE_MS,
    );
    const id =
      idempotencyKey === undefined
        ? `${this.#writer}-${(this.#count++).toString(36)}`
        : `k:${requireIdempotencyKey(idempotencyKey)}`;
    throwIfAborted(signal, kind);
    const end = performance.now() + deadlineMs;
    const first = this.view.map;
    const wanted = this.#check(kind, keys, vectors, attributes, first);
    for (let tries = 1; ; tries++) {
      const { map } = this.view;
      try {
        const token = await this.#store(wanted, id, map, end, signal);
        if (confirm === 'applied') await this.#confirm(token, map, end);
        return token;
      } catch (error) {
        if (!(error instanceof StreamEndedError)) throw error;
        await this.#awaitNextMap(map, end);
        if (tries === MOST_MAPS || !error.isCertain || !isSameIndex(first, this.view.map)) {
          throw replaced(error.isCertain);
        }
      }
    }
  }

  #check(
    kind: WriteKind,
    keys: unknown,
    vectors: VectorsInput | undefined,
    attributes: AttributesInput | undefined,
    { index }: ShardMap,
  ): WantedWrite {
    const data = vectors === undefined ? undefined : toVectors('vectors', vectors, index.dim);
    if (data !== undefined) requireAllFinite('vectors', data, index.dim);
    const list = toKeyList(keys, data === undefined ? undefined : data.length / index.dim);
    requireKinds(list, index.keys);
    return {
      ...{ kind, keys: list.slice(), vectors: data?.slice() },
      columns: toColumns(this.view.schema, attributes, list.length),
    };
  }

  /** Publishes all parts at once. */
  async #store(
    wanted: WantedWrite,
    id: string,
    map: ShardMap,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<WriteToken> {
    const { cluster } = this.view;
    const most = (cluster.connection.info?.max_payload ?? 2 ** 20) - OVERHEAD_BYTES;
    const parts = partsOf(wanted, id, map, most);
    const deadlineMs = end - performance.now();
    const stored = await Promise.allSettled(
      parts.map((part) => storePart(cluster, part, { deadlineMs, signal })),
    );
    const sequences = new Array<number>(map.shards).fill(0);
    stored.forEach((result, at) => {
      const { shard } = parts[at]!;
      if (result.status === 'fulfilled') {
        sequences[shard] = Math.max(sequences[shard]!, result.value);
      }
    });
    this.#remember(map.epoch, sequences);
    const failed = stored.find((result) => result.status === 'rejected');
    if (failed === undefined) return { epoch: map.epoch, sequences };
    const isPartly = stored.some(({ status }) => status === 'fulfilled');
    const error: unknown = failed.reason;
    if (error instanceof StreamEndedError && isPartly) throw new StreamEndedError(false);
    throw error;
  }

  #remember(epoch: number, sequences: readonly number[]): void {
    const last = this.token;
    if (last.epoch !== epoch) return;
    this.#last = {
      epoch,
      sequences: last.sequences.map((one, shard) => Math.max(one, sequences[shard]!)),
    };
  }

  /** Waits until replicas have done it. @throws what they refused it for. */
  async #confirm({ sequences }: WriteToken, map: ShardMap, end: number): Promise<void> {
    await Promise.all(
      sequences.map(async (sequence, shard) => {
        if (sequence === 0) return;
        const outcome = await this.#outcomeOf(map, shard, sequence, end);
        const error = errorOfOutcome(outcome);
        if (error !== undefined) throw error;
        if (outcome.kind === 'applied') return;
        const message = `the change is stored as number ${sequence} of shard ${shard}, but no replica told in time what became of it`;
        throw new LichenError('ERR_LICHEN_DEADLINE', message);
      }),
    );
  }

  async #outcomeOf(map: ShardMap, shard: number, sequence: number, end: number): Promise<Outcome> {
    let outcome: Outcome = { kind: 'pending' };
    while (performance.now() < end) {
      const withinMs = Math.min(1000, end - performance.now());
      const header = { ask: 'outcome', sequence, withinMs };
      const told = await askShard(
        this.view.cluster,
        { epoch: map.epoch, shard, header, sections: [], read: toOutcome },
        end,
      ).catch((error: unknown) => {
        if ((error as LichenError).code !== 'ERR_LICHEN_DEADLINE') throw error;
        return undefined;
      });
      outcome = told ?? outcome;
      if (outcome.kind === 'applied' || outcome.kind === 'rejected') break;
      // Another replica may know, or this one before long.
      await pause(AGAIN_MS);
    }
    return outcome;
  }

  /** The stream has ended: what comes after it is about to be in force. */
  async #awaitNextMap(map: ShardMap, end: number): Promise<void> {
    while (this.view.map.epoch === map.epoch) {
      await this.view.refresh().catch(() => undefined);
      if (this.view.map.epoch !== map.epoch) return;
      if (performance.now() > end) {
        const message = 'the shards are being laid out anew and take no changes meanwhile';
        throw new LichenError('ERR_LICHEN_BUSY', message);
      }
      await pause(LOOK_MS);
    }
  }
}

/** Whether vectors for the one are vectors for the other. */
function isSameIndex(one: ShardMap, other: ShardMap): boolean {
  return (
    one.modelVersion === other.modelVersion &&
    JSON.stringify(one.index) === JSON.stringify(other.index)
  );
}

function replaced(isCertain: boolean): LichenError {
  const what = isCertain ? 'nothing of it is stored' : 'it may be stored in what was there before';
  const message = `another version of the index came into force during the change; ${what}`;
  return new LichenError('ERR_LICHEN_STALE', message);
}

function requireKinds(keys: KeyList, kind: 'integer' | 'string'): void {
  if (keys.length === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'keys must hold at least one key');
  }
  if (keys instanceof Float64Array !== (kind === 'integer')) {
    throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', `keys of this index are ${kind}s`);
  }
  const seen = new Set<number | string>();
  for (const key of keys) {
    const kept = typeof key === 'string' ? wellFormed(key) : key;
    if (seen.has(kept)) {
      const message = `the key ${JSON.stringify(key)} stands twice in one call`;
      throw new LichenArgumentError('ERR_LICHEN_DUPLICATE_KEY', message);
    }
    seen.add(kept);
    // An index takes 1 to 65,535 bytes.
    if (typeof key === 'string' && (key === '' || Buffer.byteLength(key) > 65_535)) {
      const message = `a key must have 1 to 65535 bytes, got ${Buffer.byteLength(key)}`;
      throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
    }
  }
}

/** Messages for each shard, none longer than NATS takes. */
function partsOf(wanted: WantedWrite, id: string, map: ShardMap, most: number): StoredPart[] {
  const { keys } = wanted;
  const rows = Array.from({ length: map.shards }, (): number[] => []);
  for (let row = 0; row < keys.length; row++) rows[shardOf(keys[row]!, map.shards)]!.push(row);
  const parts: StoredPart[] = [];
  rows.forEach((of, shard) => {
    const waiting = of.length === 0 ? [] : [Uint32Array.from(of)];
    for (let part = 0; waiting.length > 0;) {
      const some = waiting.pop()!;
      const name = `${id}.${shard}.${part}`;
      const bytes = encodeRows(wanted, some, name, map.index.dim);
      if (bytes.length <= most) {
        parts.push({ shard, epoch: map.epoch, id: name, bytes });
        part++;
        continue;
      }
      if (some.length === 1) {
        const message = `a row takes ${bytes.length} bytes, and NATS takes messages of ${most}: raise its max_payload`;
        throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
      }
      // As many pieces as it would take, so that little is put together in vain.
      const size = Math.max(1, Math.floor((some.length * most * 0.9) / bytes.length));
      for (let end = some.length; end > 0; end -= size) {
        waiting.push(some.subarray(Math.max(0, end - size), end));
      }
    }
  });
  return parts;
}

function encodeRows(
  { kind, keys, vectors, columns }: WantedWrite,
  rows: Uint32Array,
  id: string,
  dim: number,
): Uint8Array {
  return encodeWrite({
    ...{ kind, id, keys: pickKeys(keys, rows) },
    vectors: vectors && pickVectors(vectors, dim, rows),
    columns: columns && pickColumns(columns, rows),
  });
}
