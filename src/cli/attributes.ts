import { LichenFileError, shown } from '../errors.js';
import type { AttributeKind, AttributesInput } from '../index/attributes.js';
import { forEachJsonLine } from '../vectors/json-lines.js';

/** Attributes of a file, a value a line each, and what kind they are of. */
export interface AttributesFile {
  readonly schema: Record<string, AttributeKind>;
  readonly attributes: AttributesInput;
}

/**
 * Attributes of a text file, one JSON object a line: an attribute of numbers is a number, of strings a category, of lists
 * of strings tags; null and what is missing is no value.
 * @throws ERR_LICHEN_DIMENSION unless there are `count` lines, ERR_LICHEN_FORMAT for a line that is no object and for a
 * value of another kind than those before.
 */
export async function readAttributes(
  path: string,
  count: number,
  signal?: AbortSignal,
): Promise<AttributesFile> {
  const columns = new Map<string, { kind: AttributeKind; values: unknown[] }>();
  let lines = 0;
  await forEachJsonLine(
    path,
    (object, bad) => {
      for (const [name, value] of Object.entries(object)) {
        if (value === null) continue;
        const kind = kindOf(value);
        if (kind === undefined) {
          throw bad(`${name} must be a number, a string or strings, got ${shown(value)}`);
        }
        const column = columns.get(name) ?? { kind, values: [] };
        if (column.kind !== kind) throw bad(`${name} is a ${kind}, but a ${column.kind} before`);
        column.values[lines] = value;
        columns.set(name, column);
      }
      lines++;
    },
    { signal },
  );
  if (lines !== count) {
    throw new LichenFileError(
      'ERR_LICHEN_DIMENSION',
      `${path} holds the attributes of ${lines} vectors, expected ${count}`,
    );
  }
  const schema: Record<string, AttributeKind> = {};
  const attributes: Record<string, never[]> = {};
  for (const [name, { kind, values }] of columns) {
    schema[name] = kind;
    values.length = count;
    attributes[name] = values as never[];
  }
  return { schema, attributes };
}

function kindOf(value: unknown): AttributeKind | undefined {
  if (typeof value === 'number') return 'number';
  if (typeof value === 'string') return 'category';
  return Array.isArray(value) && value.every((tag) => typeof tag === 'string') ? 'tags' : undefined;
}
