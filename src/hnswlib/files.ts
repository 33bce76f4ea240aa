import { LichenFileError, throwIfAborted } from '../errors.js';
import type { OperationOptions } from '../index/types.js';
import { native, type HnswlibReport } from '../native.js';
import { writeAtomically } from '../vectors/atomic.js';
import { withinMemory } from '../vectors/memory.js';
import type { Metric } from '../vectors/metric.js';
import { KeyBook, MAX_LABEL } from './key-book.js';
import type { HnswlibOpenOptions } from './options.js';
import { graphBytes, hnswlibError, newGraph, type Graph } from './package.js';
import {
  digestOf,
  readShape,
  sidecarPath,
  writeSidecar,
  type Sidecar,
} from '../index/hnswlib-sidecar.js';

/** What an index file and its sidecar hold. */
export interface OpenedFile {
  readonly dim: number;
  readonly metric: Metric;
  readonly m: number;
  readonly efConstruction: number;
  readonly graph: Graph;
  readonly book: KeyBook;
}

/** Reads an index file of hnswlib; errors as those of `HnswlibIndex.open`. */
export async function openFile(path: string, given: HnswlibOpenOptions): Promise<OpenedFile> {
  const { dim, metric, sidecar } = await readShape(path, given);
  // hnswlib itself follows whatever a file says.
  const report = await native().hnswlibCheck(path, dim);
  const { m, efConstruction, capacity } = report;
  const book = bookOf(path, report, sidecar);
  withinMemory(graphBytes(capacity, dim, m), () => undefined);
  const graph = newGraph(metric, dim);
  await graph.readIndex(path).catch((cause: unknown) => {
    throw hnswlibError(`reading ${path}`, cause, 'ERR_LICHEN_FORMAT');
  });
  if (graph.getCurrentCount() !== report.labels.length) {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${path} was changed while it was read`);
  }
  return { dim, metric, m, efConstruction, graph, book };
}

/** Writes an index file of hnswlib and its sidecar; errors as those of `HnswlibIndex.save`. */
export async function saveFile(
  path: string,
  graph: Graph,
  { dim, metric }: { readonly dim: number; readonly metric: Metric },
  book: KeyBook,
  { signal, onProgress }: OperationOptions,
): Promise<number> {
  const what = `writing ${path}`;
  throwIfAborted(signal, what);
  onProgress?.(0, 0);
  let bytes = 0;
  let sha256 = '';
  await writeAtomically(path, async (handle, temporary) => {
    await graph.writeIndex(temporary).catch((cause: unknown) => {
      throw hnswlibError(what, cause, 'ERR_LICHEN_IO');
    });
    throwIfAborted(signal, what);
    await requireWhole(path, temporary, dim, graph.getCurrentCount());
    bytes = (await handle.stat()).size;
    sha256 = await digestOf(temporary);
    throwIfAborted(signal, what);
  });
  await writeSidecar(path, {
    ...{ dim, metric, keyKind: book.kind ?? 'row', rows: book.rows, sha256 },
    ...(book.kind === 'string' && { keys: book.strings() }),
  });
  onProgress?.(bytes, bytes);
  return bytes;
}

/** hnswlib does not notice when writing fails, say on a full disk. */
async function requireWhole(
  path: string,
  temporary: string,
  dim: number,
  rows: number,
): Promise<void> {
  let cause: unknown;
  try {
    const { labels } = await native().hnswlibCheck(temporary, dim);
    if (labels.length === rows) return;
  } catch (error) {
    if (!(error instanceof LichenFileError)) throw error;
    cause = error;
  }
  throw new LichenFileError('ERR_LICHEN_IO', `cannot write ${path}: not all of it was written`, {
    cause,
  });
}

function bookOf(path: string, report: HnswlibReport, sidecar: Sidecar | undefined): KeyBook {
  const { labels, deleted } = report;
  const removed = Array.from(deleted.keys()).filter((row) => deleted[row] === 1);
  if (sidecar === undefined || sidecar.keyKind === 'integer') {
    const large = labels.find((label) => label > MAX_LABEL);
    if (large !== undefined) {
      throw new LichenFileError(
        'ERR_LICHEN_UNSUPPORTED',
        `${path} has the label ${large}; hnswlib-node takes labels up to ${MAX_LABEL}`,
      );
    }
    return KeyBook.restored('integer', labels.length, Array.from(labels), removed);
  }
  const { keyKind, rows, keys } = sidecar;
  const isSound =
    rows <= labels.length &&
    labels.every((label, row) => label === row && (row < rows || deleted[row] === 1));
  if (!isSound) {
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `the labels in ${path} do not fit to ${sidecarPath(path)}`,
    );
  }
  return KeyBook.restored(
    keyKind,
    rows,
    keys,
    removed.filter((row) => row < rows),
  );
}
