import { badArgument } from '../cache/cache-limits.js';
import { hashOf } from '../cache/key-hash.js';
import { shown } from '../errors.js';
import type { Key } from '../index/types.js';

/** Names may be parts of subjects, streams and buckets alike. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,47}$/;
/** More shards than that are asked by one message no longer in a time that is worth it. */
export const MOST_SHARDS = 1024;

/** @throws ERR_LICHEN_ARGUMENT unless it is 1 to 48 letters, digits and hyphens. */
export function requireName(what: string, name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw badArgument(`${what} must be 1 to 48 letters, digits and hyphens, got ${shown(name)}`);
}

/** What belongs to one index of one tenant in NATS: all of it bears both names. */
export class ClusterNames {
  /** Subjects begin so. A tenant needs no more than those under `lichen.TENANT.`. */
  readonly prefix: string;
  /** Answers come to subjects that begin so: a tenant may listen to its own, and to no other's. */
  readonly inbox: string;
  /** Key-value bucket of the shard map, checkpoints and replicas that are prepared. */
  readonly bucket: string;
  /** Key-value bucket of claims, which end by themselves. */
  readonly claims: string;
  /** Object store of snapshots. */
  readonly snapshots: string;

  /** @throws ERR_LICHEN_ARGUMENT for a name that is none. */
  constructor(
    readonly tenant: string,
    readonly index: string,
  ) {
    requireName('tenant', tenant);
    requireName('name', index);
    this.prefix = `lichen.${tenant}.${index}`;
    this.inbox = `_INBOX.${tenant}`;
    this.bucket = `lichen_${tenant}_${index}`;
    this.claims = `${this.bucket}_claims`;
    this.snapshots = `${this.bucket}_snapshots`;
  }

  /** The stream that keeps the object store of snapshots. */
  get snapshotStream(): string {
    return `OBJ_${this.snapshots}`;
  }

  /** Where the chunks of a snapshot are, by the id that its object has of them; of all snapshots begin so. */
  snapshotChunks(nuid = ''): string {
    return `$O.${this.snapshots}.C.${nuid}`;
  }

  /** Where it is told what a snapshot is. */
  snapshotMeta(name: string): string {
    const text = Buffer.from(name).toString('base64url');
    return `$O.${this.snapshots}.M.${padded(text)}`;
  }

  /** Every shard takes searches from here; one replica of each answers. */
  search(epoch: number): string {
    return `${this.prefix}.${epoch}.search`;
  }

  /** Every replica of a shard takes from here a search that another one of them is late with. */
  hedge(epoch: number, shard: number): string {
    return `${this.prefix}.${epoch}.${shard}.hedge`;
  }

  /** One replica of a shard answers. */
  ask(epoch: number, shard: number): string {
    return `${this.prefix}.${epoch}.${shard}.ask`;
  }

  /** Every replica answers with what it is and has. */
  get stats(): string {
    return `${this.prefix}.stats`;
  }

  /** Changes of a shard. */
  write(epoch: number, shard: number): string {
    return `${this.prefix}.${epoch}.${shard}.write`;
  }

  /** The stream that keeps the changes of a shard. */
  stream(epoch: number, shard: number): string {
    return `LICHEN_${this.tenant}_${this.index}_${epoch}_${shard}`;
  }
}

/** A text as an index keeps it, whose strings are UTF-8: halves of surrogates are U+FFFD there. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/**
 * The shard of a key: its hash times the number of shards, the upper 32 bits. Never to be changed, since it says where
 * every vector lies.
 *
 * @example
 * shardOf('track-7', 4); // 0, 1, 2 or 3, always the same
 */
export function shardOf(key: Key, shards: number): number {
  const hash = hashOf(typeof key === 'string' ? wellFormed(key) : key);
  return Math.floor(((hash >>> 0) * shards) / 2 ** 32);
}

/** Base64 as NATS's object store has it: with the padding that Node leaves out. */
export function padded(base64: string): string {
  return base64.padEnd(4 * Math.ceil(base64.length / 4), '=');
}
