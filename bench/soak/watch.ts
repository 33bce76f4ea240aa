import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { compiledPart } from '../harness/compiled.js';
import type { Addon } from '../../src/native.js';

/** What a process holds at a moment. */
export interface Moment {
  readonly seconds: number;
  readonly rss: number;
  /** RSS without what V8 has taken for its heap, of which it gives back what it likes, when it likes. */
  readonly beside: number;
  /** What is held of all that: in V8's heap and beside it; 0 where the C library does not tell. */
  readonly held: number;
  readonly heap: number;
  readonly external: number;
}

/** What must not grow. */
export interface Holdings {
  /** What keeps the event loop alive, by kind. */
  readonly handles: Readonly<Record<string, number>>;
  /** -1 where the system does not tell. */
  readonly files: number;
  /** Shares of indexes, indexes that were shared, their holders. */
  readonly shares: Readonly<Record<string, number>>;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory once garbage is collected, so that what remains is held. */
export function look(started: number): Moment {
  collect();
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  const { used } = addon().memoryCounts();
  const held = used === 0 ? 0 : heapUsed + used;
  const seconds = (performance.now() - started) / 1000;
  return { seconds, rss, beside: rss - heapTotal, held, heap: heapUsed, external };
}

export function holdings(): Holdings {
  collect();
  const handles: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
  return {
    ...{ handles, files: openFiles() },
    shares: { ...addon().shareCounts() },
  };
}

function addon(): Addon {
  return compiledPart<{ native: () => Addon }>('native.js').native();
}

function openFiles(): number {
  try {
    // The folder itself is open while it is read.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return -1;
  }
}

/** What there is more of than before, in words. */
export function growthOf(before: Holdings, after: Holdings): string[] {
  const grown: string[] = [];
  const compare = (what: string, was: number, is: number): void => {
    if (is > was) grown.push(`${what}: ${was} at the start, ${is} at the end`);
  };
  for (const [kind, count] of Object.entries(after.handles)) {
    compare(`open handles, ${kind}`, before.handles[kind] ?? 0, count);
  }
  compare('open files', before.files, after.files);
  for (const [kind, count] of Object.entries(after.shares)) {
    compare(`shares, ${kind}`, before.shares[kind] ?? 0, count);
  }
  return grown;
}
