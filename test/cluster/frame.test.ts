import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  encodeFrame,
  float32sOf,
  float64sOf,
  jsonSection,
  listOf,
  sectionBytes,
  uint32sOf,
} from '../../src/cluster/frame.js';
import { codeThrown } from './thrown.js';

const FORMAT = 'ERR_LICHEN_FORMAT';
const text = fc.string({ unit: 'binary' });
const header = fc.dictionary(
  text.filter((name) => name !== 'sections'),
  fc.jsonValue({ stringUnit: 'binary' }),
);
const sections = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });

/** A message whose header is any text, as a stranger might put one together. */
function forged(headerText: string, rest: Uint8Array, headerBytes?: number): Uint8Array {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(0x0146434c, 0);
  prefix.writeUInt32LE(headerBytes ?? Buffer.byteLength(headerText), 4);
  const padding = Buffer.alloc((8 - (Buffer.byteLength(headerText) % 8)) % 8);
  return Buffer.concat([prefix, Buffer.from(headerText), padding, rest]);
}

describe('frames', () => {
  it('give back any header and any sections, also out of a larger buffer', () => {
    fc.assert(
      fc.property(header, sections, fc.boolean(), fc.nat(9), (fields, parts, isSealed, shift) => {
        const bytes = encodeFrame(fields, parts, isSealed);
        const shifted = new Uint8Array(bytes.length + 20).subarray(shift, shift + bytes.length);
        shifted.set(bytes);
        const got = decodeFrame(shifted, isSealed);
        const { sections: sizes, ...rest } = got.header;
        expect(rest).toEqual(JSON.parse(JSON.stringify(fields)));
        expect(sizes).toEqual(parts.map(({ length }) => length));
        expect(got.sections.map((part) => [...part])).toEqual(parts.map((part) => [...part]));
        for (const { byteOffset } of got.sections) expect(byteOffset % 8).toBe(0);
        expect(sectionBytes(parts.map(({ length }) => length))).toBeGreaterThanOrEqual(
          bytes.length - Buffer.byteLength(JSON.stringify(got.header)) - 8,
        );
      }),
    );
  });

  it('take views of any kind, and only what they see', () => {
    const numbers = Float64Array.of(1, NaN, -Infinity, 4).subarray(1, 3);
    const floats = Float32Array.of(9, 1.5, -0).subarray(1);
    const { sections: got } = decodeFrame(encodeFrame({}, [numbers, floats, Uint32Array.of(7)]));
    expect([...float64sOf(got[0], 2)]).toEqual([NaN, -Infinity]);
    expect([...float32sOf(got[1])]).toEqual([1.5, -0]);
    expect([...uint32sOf(got[2], 1)]).toEqual([7]);
  });

  it('are the receiver’s own', () => {
    const bytes = encodeFrame({}, [Uint8Array.of(1, 2, 3)]);
    const { sections: got } = decodeFrame(bytes);
    bytes.fill(0);
    expect([...got[0]!]).toEqual([1, 2, 3]);
  });

  it('are refused cut short or longer by any number of bytes', () => {
    fc.assert(
      fc.property(header, sections, fc.boolean(), (fields, parts, isSealed) => {
        const bytes = encodeFrame(fields, parts, isSealed);
        for (let length = 0; length < bytes.length; length++) {
          const cut = bytes.subarray(0, length);
          expect(codeThrown(() => decodeFrame(cut, isSealed))).toBe(FORMAT);
        }
        for (const more of [1, 7, 8, 16]) {
          const longer = Buffer.concat([bytes, Buffer.alloc(more)]);
          expect(codeThrown(() => decodeFrame(longer, isSealed))).toBe(FORMAT);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('that are sealed are refused with any byte changed', () => {
    const change = fc.integer({ min: 1, max: 255 });
    fc.assert(
      fc.property(header, sections, change, (fields, parts, by) => {
        const bytes = encodeFrame(fields, parts, true);
        for (let at = 0; at < bytes.length; at++) {
          bytes[at]! ^= by;
          expect(codeThrown(() => decodeFrame(bytes, true))).toBe(FORMAT);
          bytes[at]! ^= by;
        }
        expect(codeThrown(() => decodeFrame(bytes, true))).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  it('are not taken for those with a digest, nor those for them', () => {
    const [plain, sealed] = [false, true].map((isSealed) => encodeFrame({ a: 1 }, [], isSealed));
    expect(codeThrown(() => decodeFrame(plain!, true))).toBe(FORMAT);
    expect(codeThrown(() => decodeFrame(sealed!))).toBe(FORMAT);
  });

  it('that are none are refused as such, whatever the bytes', () => {
    const isRefused = (bytes: Uint8Array): void => {
      for (const isSealed of [false, true]) {
        expect([FORMAT, undefined]).toContain(codeThrown(() => decodeFrame(bytes, isSealed)));
      }
    };
    const bytes = fc.uint8Array({ maxLength: 120 });
    fc.assert(fc.property(bytes, isRefused));
    fc.assert(
      fc.property(fc.oneof(text, fc.json()), bytes, (headerText, rest) =>
        isRefused(forged(headerText, rest)),
      ),
    );
    // A whole one with some bytes changed.
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(header, sections, changes, (fields, parts, all) => {
        const whole = encodeFrame(fields, parts);
        for (const [at, byte] of all) whole[at % whole.length] = byte;
        isRefused(whole);
      }),
    );
  });

  it.each([
    ...['[-1]', '[-8]', '[0.5]', '["8"]', '[null]', '[[8]]', '[1e308]', '[1e999]', '[true]'],
    ...['[9007199254740992]', '[4294967296]', '[2147483647]', '[2147483648]', '[8,8]', '[]'],
    ...['{}', 'null', '"8"', '8', '{"0":8,"length":1}', '[4294967288,8]', '[16]', '[0]'],
  ])('with sections %s of 8 bytes are refused', (sizes) => {
    const bytes = forged(`{"sections":${sizes}}`, new Uint8Array(8));
    expect(codeThrown(() => decodeFrame(bytes))).toBe(FORMAT);
  });

  it('may have so many sections and no more', () => {
    const some = (count: number) => encodeFrame({}, new Array(count).fill(new Uint8Array()));
    expect(decodeFrame(some(256)).sections).toHaveLength(256);
    expect(codeThrown(() => decodeFrame(some(257)))).toBe(FORMAT);
  });

  it.each([0x7fffffff, 0xffffffff, 0xfffffff8, 2 ** 24 + 1, 100, 1])(
    'whose header would have %i bytes are refused',
    (headerBytes) => {
      const bytes = forged('{"sections":[]}', new Uint8Array(), headerBytes);
      expect(codeThrown(() => decodeFrame(bytes))).toBe(FORMAT);
    },
  );

  it.each(['[]', '1', 'null', '"{}"', '', '{"sections":[]', '{"sections":[]}{}'])(
    'with the header %s are refused',
    (headerText) => {
      expect(codeThrown(() => decodeFrame(forged(headerText, new Uint8Array())))).toBe(FORMAT);
    },
  );

  it('bear headers nested very deep', () => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)},"sections":[]}`;
    expect([FORMAT, undefined]).toContain(
      codeThrown(() => decodeFrame(forged(deep, new Uint8Array()))),
    );
  });

  it('do not touch the prototypes of objects', () => {
    const { header: got } = decodeFrame(
      forged('{"__proto__":{"evil":1},"constructor":2,"sections":[]}', new Uint8Array()),
    );
    expect(Object.getPrototypeOf(got)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)['evil']).toBeUndefined();
    expect(Object.keys(got)).toEqual(['__proto__', 'constructor', 'sections']);
  });
});

describe('sections', () => {
  it('are refused as values of another width or number', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(6), (bytes, count) => {
        const { sections: got } = decodeFrame(encodeFrame({}, [bytes]));
        for (const [width, read] of [
          [8, float64sOf],
          [4, float32sOf],
          [4, uint32sOf],
        ] as const) {
          const isWhole = bytes.length % width === 0;
          const isSo = isWhole && bytes.length / width === count;
          expect(codeThrown(() => read(got[0]))).toBe(isWhole ? undefined : FORMAT);
          expect(codeThrown(() => read(got[0], count))).toBe(isSo ? undefined : FORMAT);
        }
      }),
    );
    for (const read of [float64sOf, float32sOf, uint32sOf, listOf]) {
      expect(codeThrown(() => read(undefined))).toBe(FORMAT);
      expect(codeThrown(() => read(undefined, 0))).toBe(FORMAT);
    }
  });

  it('of lists give them back, of any text', () => {
    const list = fc.array(fc.oneof(text, fc.constant(null), fc.array(text)));
    fc.assert(
      fc.property(list, (values) => {
        const section = jsonSection(values);
        expect(listOf(section)).toEqual(values);
        expect(listOf(section, values.length)).toEqual(values);
        expect(codeThrown(() => listOf(section, values.length + 1))).toBe(FORMAT);
      }),
    );
  });

  it('of lists keep half surrogates', () => {
    const values = ['\ud800', 'a\udfff', '\u0000', '\udc00\ud800'];
    expect(listOf(jsonSection(values))).toEqual(values);
  });

  it('that hold no list are refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), text), (some) => {
        const code = codeThrown(() => listOf(Buffer.from(some)));
        expect(code).toBe(isList(some) ? undefined : FORMAT);
      }),
    );
  });
});

function isList(some: string): boolean {
  try {
    return Array.isArray(JSON.parse(some));
  } catch {
    return false;
  }
}
