import { LichenFileError } from '../errors.js';
import { native, type IndexHandle, type NativeSnapshotReport } from '../native.js';
import { schemaFrom, schemaOfNative, type AttributeSchema } from './attributes.js';
import { requirePath } from './arguments.js';
import { resolveAccess, type OpenOptions } from './file-options.js';
import type { Key } from './types.js';
import { VectorIndex } from './vector-index.js';

/** What stands in a snapshot file, read without building the index. */
export interface SnapshotReport extends Omit<NativeSnapshotReport, 'attributes'> {
  /** Names and kinds of the attributes. */
  readonly attributes: AttributeSchema;
}

/** The native index of a snapshot file. */
export async function openHandle(
  path: string,
  options: OpenOptions | undefined,
): Promise<IndexHandle> {
  return native().indexOpen(requirePath(path), resolveAccess(options));
}

/** The native index of a snapshot file that must hold a certain kind of index. */
export async function openHandleOf(
  kind: 'flat' | 'hnsw',
  path: string,
  options: OpenOptions | undefined,
): Promise<IndexHandle> {
  const handle = await openHandle(path, options);
  const found = native().indexDescribe(handle).index;
  if (found === kind) return handle;
  native().indexClose(handle);
  throw new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path} holds a ${found} index, expected a ${kind} index`,
  );
}

/** An object of an index class around a native index, past the constructor, which would make a new one. */
export function adopt<I extends VectorIndex<Key>>(type: { prototype: I }, handle: IndexHandle): I {
  return Reflect.construct(VectorIndex, [handle], type as never) as I;
}

/**
 * What stands in a snapshot file, and whether the checksum of each section holds, without building the index.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO; ERR_LICHEN_FORMAT when the header itself is damaged or it is another
 * kind of file; ERR_LICHEN_UNSUPPORTED for a newer format.
 */
export async function inspectSnapshot(path: string): Promise<SnapshotReport> {
  const report = await native().indexInspect(requirePath(path));
  return { ...report, attributes: schemaFrom(schemaOfNative(report.attributes)) };
}
