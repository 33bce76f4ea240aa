import { LichenFileError } from '../errors.js';
import { native, type IndexHandle, type NativeSnapshotReport } from '../native.js';
import { schemaFrom, schemaOfNative, type AttributeSchema } from './attributes.js';
import { requirePath } from './arguments.js';
import { resolveOpenIndex, type OpenIndexOptions } from './file-options.js';
import type { Key } from './types.js';
import { VectorIndex } from './vector-index.js';
import { JournaledWrites, UNJOURNALED, type Writes } from './writes.js';

/** What stands in a snapshot file, read without building the index. */
export interface SnapshotReport extends Omit<NativeSnapshotReport, 'attributes'> {
  /** Names and kinds of the attributes. */
  readonly attributes: AttributeSchema;
}

/** A native index, and how its changes are written. */
export interface OpenedIndex {
  readonly handle: IndexHandle;
  readonly writes: Writes;
}

/** The native index of a snapshot file. */
export async function openNative(
  path: string,
  options: OpenIndexOptions | undefined,
): Promise<OpenedIndex> {
  const addon = native();
  const file = requirePath(path);
  const { access, threads, settings } = resolveOpenIndex(options);
  const handle = await addon.indexOpen(file, access, settings === undefined ? null : threads);
  const writes = settings === undefined ? UNJOURNALED : new JournaledWrites(handle, settings);
  return { handle, writes };
}

/** The native index of a snapshot file that must hold a certain kind of index. */
export async function openNativeOf(
  kind: 'flat' | 'hnsw',
  path: string,
  options: OpenIndexOptions | undefined,
): Promise<OpenedIndex> {
  const opened = await openNative(path, options);
  const found = native().indexDescribe(opened.handle).index;
  if (found === kind) return opened;
  native().indexClose(opened.handle);
  throw new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path} holds a ${found} index, expected a ${kind} index`,
  );
}

/** An object of an index class around a native index, past the constructor, which would make a new one. */
export function adopt<I extends VectorIndex<Key>>(
  type: { prototype: I },
  { handle, writes }: OpenedIndex,
): I {
  return Reflect.construct(VectorIndex, [handle, writes], type as never) as I;
}

/**
 * What stands in a snapshot file, and whether the checksum of each section holds, without building the index.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO; ERR_LICHEN_FORMAT when the header itself is damaged or it is another
 * kind of file; ERR_LICHEN_UNSUPPORTED for a newer format.
 *
 * @example
 * const { sections } = await inspectSnapshot('items.lichen');
 * for (const { name, bytes } of sections) console.log(name, bytes);
 */
export async function inspectSnapshot(path: string): Promise<SnapshotReport> {
  const report = await native().indexInspect(requirePath(path));
  return { ...report, attributes: schemaFrom(schemaOfNative(report.attributes)) };
}
