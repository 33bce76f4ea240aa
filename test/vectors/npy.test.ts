import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readIntMatrix, readMatrix } from '../../src/vectors/files.js';
import { temporaryFolder } from './temporary-folder.js';

/** A .npy file made by hand: any header text, any version. */
function npy(header: string, body: Uint8Array, version = 1): Buffer {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), version, 0]),
    length,
    Buffer.from(header, 'latin1'),
    body,
  ]);
}

function headerOf(descr: string, shape: string, fortran = 'False'): string {
  return `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
}

/** Bytes of values in either byte order, written one by one. */
function encode(kind: string, values: readonly number[], big: boolean): Uint8Array {
  const size = Number(kind.slice(1));
  const view = new DataView(new ArrayBuffer(values.length * size));
  values.forEach((value, i) => {
    const at = i * size;
    if (kind === 'f4') view.setFloat32(at, value, !big);
    else if (kind === 'f8') view.setFloat64(at, value, !big);
    else if (kind === 'i1' || kind === 'u1' || kind === 'b1') view.setUint8(at, value);
    else if (size === 2) view.setUint16(at, value, !big);
    else if (size === 4) view.setUint32(at, value, !big);
    else view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), !big);
  });
  return new Uint8Array(view.buffer);
}

describe('npy', () => {
  const at = temporaryFolder();
  const file = at('a.npy');
  const read = async (bytes: Uint8Array): Promise<number[]> => {
    writeFileSync(file, bytes);
    return [...(await readMatrix(file)).data];
  };

  const cases: [string, number[]][] = [
    ['f4', [0.5, -1.25, 2 ** 127, 1, -0, 7]],
    ['f8', [0.5, -1.25, 3, 1, 0, 7]],
    ['b1', [0, 1, 1, 0, 1, 0]],
    ['i1', [-128, 127, 0, 1, 2, 3]],
    ['u1', [255, 127, 0, 1, 2, 3]],
    ['i2', [-32768, 32767, 0, 1, 2, 3]],
    ['u2', [65535, 1, 0, 1, 2, 3]],
    ['i4', [-2147483648, 65536, 0, 1, 2, 3]],
    ['u4', [4294967296 - 2 ** 10, 65536, 0, 1, 2, 3]],
    ['i8', [-(2 ** 40), 2 ** 40, -1, 1, 2, 3]],
    ['u8', [2 ** 40, 2 ** 33, 0, 1, 2, 3]],
  ];
  it.each(
    cases.flatMap(([kind, values]) => [[kind, values, '<'] as const, [kind, values, '>'] as const]),
  )('reads %s, values %j, order %s', async (kind, values, order) => {
    const body = encode(kind, values, order === '>');
    expect(await read(npy(headerOf(order + kind, '(2, 3)'), body))).toEqual(values);
  });

  it('reads halfs', async () => {
    const body = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0); // 1, -2
    expect(await read(npy(headerOf('<f2', '(1, 2)'), body))).toEqual([1, -2]);
    expect(await read(npy(headerOf('>f2', '(1, 2)'), body.reverse()))).toEqual([-2, 1]);
  });

  it('reads all versions, column order, other spellings', async () => {
    const body = encode('u1', [1, 2, 3, 4, 5, 6], false);
    for (const version of [1, 2, 3]) {
      expect(await read(npy(headerOf('|u1', '(2, 3)'), body, version))).toEqual([1, 2, 3, 4, 5, 6]);
    }
    expect(await read(npy(headerOf('|u1', '(2, 3)', 'True'), body))).toEqual([1, 3, 5, 2, 4, 6]);
    const spelled = `{"shape":(2L,3L),'fortran_order' : False,"descr":"u1"}`;
    expect(await read(npy(spelled, body))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('reads integers as they are', async () => {
    writeFileSync(file, npy(headerOf('<i8', '(1, 3)'), encode('i8', [5, -7, 2 ** 31 - 1], false)));
    expect(await readIntMatrix(file)).toEqual({
      data: Int32Array.of(5, -7, 2 ** 31 - 1),
      rows: 1,
      dim: 3,
    });
    for (const [kind, value] of [
      ['i8', 2 ** 31],
      ['i8', -(2 ** 31) - 1],
      ['u4', 2 ** 31],
      ['u8', 2 ** 32],
    ] as const) {
      writeFileSync(file, npy(headerOf(`<${kind}`, '(1, 2)'), encode(kind, [1, value], false)));
      await expect(readIntMatrix(file)).rejects.toThrow(/value 1 .* is no 32-bit integer/);
    }
    writeFileSync(file, npy(headerOf('<f4', '(1, 1)'), new Uint8Array(4)));
    await expect(readIntMatrix(file)).rejects.toThrow(
      /expected whole numbers, got values of type f32/,
    );
  });

  const body = new Uint8Array(24);
  it.each([
    ['no magic', Buffer.from('NUMPY and more bytes'), 'FORMAT', /no \.npy file/],
    ['nothing', Buffer.alloc(0), 'FORMAT', /no \.npy file/],
    [
      'version',
      npy(headerOf('<f4', '(2, 3)'), body, 9),
      'FORMAT',
      /version 1, 2 or 3 expected, got 9/,
    ],
    [
      'cut header',
      npy(headerOf('<f4', '(2, 3)'), body).subarray(0, 40),
      'FORMAT',
      /truncated .npy header/,
    ],
    [
      'cut data',
      npy(headerOf('<f4', '(2, 3)'), body.subarray(1)),
      'FORMAT',
      /24 bytes from byte \d+ on, got 23/,
    ],
    ['trailing', npy(headerOf('<f4', '(2, 2)'), body), 'FORMAT', /8 bytes too many/],
    ['huge', npy(headerOf('<f8', '(1000000000, 1000000000)'), body), 'FORMAT', /truncated/],
    [
      'overflow',
      npy(headerOf('<f8', '(9007199254740991, 9007199254740991)'), body),
      'FORMAT',
      /truncated/,
    ],
    [
      'too huge',
      npy(headerOf('<f8', '(99999999999999999999, 1)'), body),
      'FORMAT',
      /whole number below 2\^53/,
    ],
    ['negative', npy(headerOf('<f4', '(-2, 3)'), body), 'FORMAT', /whole number/],
    ['1-D', npy(headerOf('<f4', '(6,)'), body), 'FORMAT', /reshape it to \(1, 6\) or \(6, 1\)/],
    ['0-D', npy(headerOf('<f4', '()'), body), 'FORMAT', /expected an array of shape/],
    ['3-D', npy(headerOf('<f4', '(1, 2, 3)'), body), 'FORMAT', /got \(1, 2, 3\)/],
    ['no rows', npy(headerOf('<f4', '(0, 3)'), body.subarray(24)), 'EMPTY', /holds no vectors/],
    ['complex', npy(headerOf('<c8', '(1, 3)'), body), 'UNSUPPORTED', /type <c8 are not supported/],
    ['object', npy(headerOf('|O', '(1, 3)'), body), 'UNSUPPORTED', /type \|O are not/],
    ['record', npy("{'descr': [('a', '<f4')], 'shape': (6, 1)}", body), 'UNSUPPORTED', /record/],
    ['no dict', npy('[1, 2]', body), 'FORMAT', /expected "\{"/],
    ['open dict', npy("{'descr': '<f4', ", body), 'FORMAT', /expected a quoted string/],
    ['no shape', npy("{'descr': '<f4', 'fortran_order': False}", body), 'FORMAT', /must say shape/],
    ['code', npy("{'descr': __import__('os')}", body), 'FORMAT', /expected a string, a tuple/],
  ])('refuses: %s', async (_, bytes, code, message) => {
    writeFileSync(file, bytes);
    await expect(readMatrix(file)).rejects.toMatchObject({
      code: `ERR_LICHEN_${code}`,
      message: expect.stringMatching(message) as string,
    });
    await expect(readMatrix(file)).rejects.toThrow(file);
  });

  it('survives any damage to a header with an error of its own', async () => {
    const good = npy(headerOf('<f4', '(2, 3)'), body);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        async (changes, length) => {
          const bytes = Buffer.from(good).subarray(0, length % 3 === 0 ? length : good.length);
          for (const [position, value] of changes)
            bytes[position % Math.max(1, bytes.length)] = value;
          writeFileSync(file, bytes);
          const outcome = await readMatrix(file).then(
            () => 'read',
            (error: { code: string }) => error.code,
          );
          expect(outcome).toMatch(/^(read|ERR_LICHEN_(FORMAT|UNSUPPORTED|EMPTY|NOT_FINITE))$/);
        },
      ),
      { numRuns: 300 },
    );
  });
});
