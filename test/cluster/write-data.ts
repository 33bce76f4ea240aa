import fc from 'fast-check';
import type { Column, KeyList } from '../../src/cluster/write-message.js';
import { resolveSchema } from '../../src/index/attributes.js';

/** A schema with names that objects have of themselves; not a literal, in which `__proto__` means another thing. */
export const SCHEMA = resolveSchema(
  JSON.parse(
    '{"year":"number","genre":"category","tags":"tags","__proto__":"number","constructor":"category","toString":"tags","a b":"number"}',
  ),
);

/** Any text of UTF-16 units, halves of surrogates and U+0000 among them. */
export const anyText = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) });
export const keyText = fc.oneof(
  anyText,
  fc.constantFrom('\ud800', '\udfff', '\u0000', 'a\u0000b', '\ufffd', '__proto__', '𐍈', '日本'),
);
const anyNumber = fc.oneof(
  fc.double(),
  fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 5e-324, 2 ** 53),
);

/** So many keys of one kind. */
export function keysOf(count: number): fc.Arbitrary<KeyList> {
  const size = { minLength: count, maxLength: count };
  return fc.oneof(
    fc.array(fc.maxSafeInteger(), size).map((keys) => Float64Array.from(keys)),
    fc.array(keyText, size),
  );
}

/** Values of some attributes of {@link SCHEMA} as they go over the network, so many a column; or of none. */
export function columnsOf(
  count: number,
): fc.Arbitrary<Readonly<Record<string, Column>> | undefined> {
  const size = { minLength: count, maxLength: count };
  const column = {
    number: fc.array(anyNumber, size).map((values) => Float64Array.from(values)),
    category: fc.array(fc.option(anyText), size),
    tags: fc.array(fc.array(anyText, { maxLength: 3 }), size),
  };
  return fc.option(
    fc
      .subarray([...SCHEMA.columns])
      .chain((some) =>
        fc
          .tuple(...some.map(({ kind }): fc.Arbitrary<Column> => column[kind]))
          .map((values) => Object.fromEntries(some.map(({ name }, at) => [name, values[at]!]))),
      ),
    { nil: undefined },
  );
}
