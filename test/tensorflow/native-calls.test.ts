import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.js';
import { operation } from '../../src/tensorflow/kernel.js';
import { detached } from '../detached.js';

const ARGUMENT = 'ERR_LICHEN_ARGUMENT';
const DIMENSION = 'ERR_LICHEN_DIMENSION';

const floats = (length: number) => new Float32Array(length);
const axes = (...numbers: number[]) => Int32Array.from(numbers);

type Product = Parameters<ReturnType<typeof native>['tensorProduct']>;

/** Arguments of a product of 2 × 3 by 3 × 4, some of them others. */
function product(changes: Partial<Record<number, unknown>> = {}): Product {
  const given: Product = [
    floats(6),
    floats(12),
    floats(8),
    1,
    2,
    3,
    4,
    false,
    false,
    null,
    operation('activation', 'none'),
    0,
  ];
  return Object.assign(given, changes);
}

describe('native tensor calls', () => {
  const calls = native();
  const add = operation('binary', 'add');
  const sum = operation('reduction', 'sum');
  const most = operation('reduction', 'maximum');

  it.each<[string, Partial<Record<number, unknown>>, string]>([
    ['a short operand', { 0: floats(5) }, DIMENSION],
    ['a long result', { 2: floats(9) }, DIMENSION],
    ['a detached operand', { 1: detached(12) }, DIMENSION],
    ['a detached result', { 2: detached(8) }, DIMENSION],
    ['numbers of another type', { 0: new Float64Array(6) }, ARGUMENT],
    ['a plain array', { 0: [1, 2, 3, 4, 5, 6] }, ARGUMENT],
    ['nothing', { 0: undefined }, ARGUMENT],
    ['a negative size', { 4: -2 }, ARGUMENT],
    ['half a row', { 4: 1.5 }, ARGUMENT],
    ['sizes without bounds', { 4: 2 ** 40, 5: 2 ** 40 }, ARGUMENT],
    ['a batch without bounds', { 3: 2 ** 52 }, ARGUMENT],
    ['a bias of another length', { 9: floats(3) }, DIMENSION],
    ['an activation that there is not', { 10: 99 }, ARGUMENT],
    ['a flag that is none', { 7: 1 }, ARGUMENT],
  ])('refuse a product with %s', (_, changes, code) => {
    expect(() => calls.tensorProduct(...product(changes))).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it.each<[string, () => void, string]>([
    [
      'axes beyond an operand',
      () => calls.tensorBinary(add, axes(4, 1, 1), floats(4), floats(3), floats(4)),
      DIMENSION,
    ],
    [
      'axes before an operand',
      () => calls.tensorBinary(add, axes(2, 2, -1, 1, 2, 1), floats(4), floats(4), floats(4)),
      DIMENSION,
    ],
    [
      'steps within a row',
      () => calls.tensorBinary(add, axes(2, 2, 1), floats(4), floats(4), floats(2)),
      ARGUMENT,
    ],
    [
      'a result of another size',
      () => calls.tensorBinary(add, axes(4, 1, 1), floats(4), floats(4), floats(3)),
      DIMENSION,
    ],
    [
      'axes that are no three lists',
      () => calls.tensorBinary(add, axes(4, 1), floats(4), floats(4), floats(4)),
      ARGUMENT,
    ],
    [
      'a negative extent',
      () => calls.tensorBinary(add, axes(-4, 1, 1), floats(4), floats(4), floats(4)),
      ARGUMENT,
    ],
    [
      'too many axes',
      () =>
        calls.tensorBinary(
          add,
          axes(...new Array<number>(39).fill(1)),
          floats(4),
          floats(4),
          floats(1),
        ),
      ARGUMENT,
    ],
    [
      'axes whose product has no bounds',
      () =>
        calls.tensorBinary(
          add,
          axes(2 ** 31 - 1, 2 ** 31 - 1, 0, 0, 0, 0),
          floats(1),
          floats(1),
          floats(1),
        ),
      ARGUMENT,
    ],
    [
      'operands of two types',
      () =>
        calls.tensorBinary(add, axes(4, 1, 1), floats(4), new Int32Array(4) as never, floats(4)),
      ARGUMENT,
    ],
    [
      'an operation that there is not',
      () => calls.tensorBinary(99, axes(4, 1, 1), floats(4), floats(4), floats(4)),
      ARGUMENT,
    ],
    [
      'an operation that int32 has not',
      () =>
        calls.tensorBinary(
          operation('binary', 'power'),
          axes(1, 1, 1),
          new Int32Array(1),
          new Int32Array(1),
          new Int32Array(1),
        ),
      'ERR_LICHEN_UNSUPPORTED',
    ],
    ['a detached operand', () => calls.tensorUnary(0, detached(4), floats(4), 0, 0), DIMENSION],
    [
      'a result of another type',
      () => calls.tensorUnary(0, floats(4), new Int32Array(4) as never, 0, 0),
      ARGUMENT,
    ],
    [
      'a comparison into a short array',
      () => calls.tensorComparison(0, axes(4, 1, 1), floats(4), floats(4), new Uint8Array(3)),
      DIMENSION,
    ],
    [
      'logic on floats',
      () =>
        calls.tensorLogical(
          0,
          axes(4, 1, 1),
          floats(4) as never,
          new Uint8Array(4),
          new Uint8Array(4),
        ),
      ARGUMENT,
    ],
    [
      'a choice of other lengths',
      () => calls.tensorSelect(new Uint8Array(4), floats(3), floats(4), floats(4)),
      DIMENSION,
    ],
    ['a cast to the same type', () => calls.tensorCast(floats(3), floats(3)), ARGUMENT],
    ['a cast of another length', () => calls.tensorCast(floats(3), new Int32Array(4)), DIMENSION],
    [
      'a copy that reads beyond',
      () => calls.tensorCopy(axes(2, 2, 3, 1, 2, 1), floats(4), 0, floats(4), 0),
      DIMENSION,
    ],
    [
      'a copy that reads before',
      () => calls.tensorCopy(axes(3, -1, 1), floats(4), 1, floats(4), 0),
      DIMENSION,
    ],
    [
      'a copy that writes beyond',
      () => calls.tensorCopy(axes(4, 1, 1), floats(4), 0, floats(4), 1),
      DIMENSION,
    ],
    [
      'a copy that begins outside',
      () => calls.tensorCopy(axes(1, 1, 1), floats(4), 2 ** 53 - 1, floats(4), 0),
      DIMENSION,
    ],
    [
      'a copy between types',
      () => calls.tensorCopy(axes(4, 1, 1), floats(4), 0, new Int32Array(4) as never, 0),
      ARGUMENT,
    ],
    [
      'a sum of another size',
      () => calls.tensorReduction(sum, floats(7), 2, 2, 2, floats(4)),
      DIMENSION,
    ],
    [
      'a sum of bytes',
      () =>
        calls.tensorReduction(sum, new Uint8Array(4) as never, 1, 4, 1, new Uint8Array(1) as never),
      ARGUMENT,
    ],
    [
      'the greatest of nothing',
      () => calls.tensorReduction(most, floats(0), 2, 0, 2, floats(4)),
      ARGUMENT,
    ],
    [
      'the place of the greatest of nothing',
      () => calls.tensorExtreme(true, floats(0), 2, 0, 1, new Int32Array(2)),
      ARGUMENT,
    ],
    ['a softmax of another size', () => calls.tensorSoftmax(floats(5), 2, 3, floats(6)), DIMENSION],
    [
      'more of the greatest than there are',
      () => calls.tensorTopK(floats(4), 2, 2, 3, floats(6), new Int32Array(6)),
      ARGUMENT,
    ],
    [
      'a row that there is not',
      () => calls.tensorGather(floats(6), Int32Array.of(3), 1, 1, 3, 2, floats(2)),
      ARGUMENT,
    ],
    [
      'a table of another size',
      () => calls.tensorGather(floats(5), Int32Array.of(0), 1, 1, 3, 2, floats(2)),
      DIMENSION,
    ],
    [
      'indices that batches do not share out',
      () => calls.tensorGather(floats(12), Int32Array.of(0, 0, 0), 2, 1, 3, 2, floats(4)),
      DIMENSION,
    ],
    [
      'segments beyond the result',
      () => calls.tensorSegmentSum(floats(4), Int32Array.of(0, 1), 2, 2 ** 31 - 1, floats(4)),
      DIMENSION,
    ],
    [
      'ids of another number',
      () => calls.tensorSegmentSum(floats(4), Int32Array.of(0), 2, 2, floats(4)),
      DIMENSION,
    ],
    [
      'a step of no number',
      () => calls.adamStep(floats(1), floats(1), floats(1), floats(1), 0, 0.1, 0.9, 0.99, 1e-8, 0),
      ARGUMENT,
    ],
    [
      'a decay of 1',
      () => calls.adamStep(floats(1), floats(1), floats(1), floats(1), 1, 0.1, 1, 0.99, 1e-8, 0),
      ARGUMENT,
    ],
    [
      'state of another size',
      () => calls.adamStep(floats(1), floats(1), floats(2), floats(1), 1, 0.1, 0.9, 0.99, 1e-8, 0),
      DIMENSION,
    ],
    ['no arguments', () => (calls.tensorProduct as () => void)(), ARGUMENT],
  ])('refuse %s', (_, call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }));
  });

  it('take views, also of shared memory, and leave the rest alone', () => {
    const shared = new Float32Array(new SharedArrayBuffer(40));
    shared.set([9, 1, 2, 3, 4, 9, 9, 9, 9, 9]);
    const out = new Float32Array(new SharedArrayBuffer(24));
    calls.tensorBinary(
      add,
      axes(4, 1, 1),
      shared.subarray(1, 5),
      shared.subarray(1, 5),
      out.subarray(1, 5),
    );
    expect([...out]).toEqual([0, 2, 4, 6, 8, 0]);
    calls.tensorProduct(
      shared.subarray(1, 5),
      shared.subarray(1, 5),
      out.subarray(0, 4),
      1,
      2,
      2,
      2,
      false,
      true,
      null,
      0,
      0,
    );
    expect([...out]).toEqual([5, 11, 11, 25, 8, 0]);
  });

  it('take an operand as result', () => {
    const x = Float32Array.from({ length: 1000 }, (_, at) => at);
    calls.tensorBinary(add, axes(1000, 1, 1), x, x, x);
    calls.tensorUnary(operation('unary', 'negate'), x, x, 0, 0);
    expect([...x.subarray(0, 3), x[999]]).toEqual([-0, -2, -4, -1998]);
  });

  it('do nothing with nothing', () => {
    calls.tensorProduct(...product({ 0: floats(0), 2: floats(0), 4: 0 }));
    calls.tensorBinary(add, axes(0, 3, 3, 1, 3, 1), floats(0), floats(0), floats(0));
    calls.tensorCopy(axes(0, 1, 1), floats(0), 0, floats(0), 0);
    calls.tensorGather(floats(0), new Int32Array(0), 0, 1, 0, 3, floats(0));
    calls.tensorSegmentSum(floats(0), new Int32Array(0), 3, 0, floats(0));
    expect(() => calls.tensorSoftmax(floats(0), 0, 5, floats(0))).not.toThrow();
  });
});
