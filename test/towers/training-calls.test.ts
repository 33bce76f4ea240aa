import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.js';
import { detached } from '../detached.js';

const ARGUMENT = 'ERR_LICHEN_ARGUMENT';
const DIMENSION = 'ERR_LICHEN_DIMENSION';

const floats = (length: number) => new Float32Array(length).fill(0.5);
const whole = (...numbers: number[]) => Int32Array.from(numbers);

type Changes = Partial<Record<number, unknown>>;

type Step = Parameters<ReturnType<typeof native>['sampledSoftmaxStep']>;

/** Arguments of a step of 2 users, 3 negatives and 2 targets of 4 values, some of them others. */
function softmaxStep(changes: Changes = {}): Step {
  const given: Step = [
    floats(8),
    floats(12),
    floats(8),
    4,
    0.5,
    floats(3),
    whole(0, 1, 1),
    whole(2),
    whole(0, 1, 3),
    whole(0, 1, 0),
    floats(3),
    floats(2),
    floats(8),
    floats(12),
    floats(8),
  ];
  return Object.assign(given, changes);
}

type Smoothing = Parameters<ReturnType<typeof native>['smoothRows']>;

/** Arguments of smoothing 3 nodes of 2 values along 2 edges. */
function smoothing(changes: Changes = {}): Smoothing {
  const given: Smoothing = [
    whole(0, 1, 2, 2),
    whole(1, 0),
    floats(2),
    2,
    floats(6),
    floats(6),
    1,
    floats(6),
  ];
  return Object.assign(given, changes);
}

function refuses(call: () => unknown, code: string): void {
  expect(call).toThrow(expect.objectContaining({ code }));
}

describe('native calls of training', () => {
  const calls = native();

  it.each<[string, Changes, string]>([
    ['half a user', { 0: floats(9) }, DIMENSION],
    ['a detached side', { 1: detached(12) }, DIMENSION],
    ['no dim', { 3: 0 }, ARGUMENT],
    ['a temperature of 0', { 4: 0 }, ARGUMENT],
    ['a temperature of NaN', { 4: NaN }, ARGUMENT],
    ['biases for other columns', { 5: floats(2) }, DIMENSION],
    ['masks for other rows', { 6: whole(0, 1) }, DIMENSION],
    ['masks that fall', { 6: whole(0, 2, 1), 7: whole(2) }, ARGUMENT],
    ['a masked column that is none', { 7: whole(3) }, ARGUMENT],
    ['a negative column', { 7: whole(-1) }, ARGUMENT],
    ['pairs that do not begin at 0', { 8: whole(1, 1, 3) }, ARGUMENT],
    ['more pairs than there are', { 8: whole(0, 1, 4) }, ARGUMENT],
    ['a target that is none', { 9: whole(0, 2, 0) }, ARGUMENT],
    ['targets of another type', { 9: floats(3) }, ARGUMENT],
    ['biases for other pairs', { 10: floats(4) }, DIMENSION],
    ['weights for other rows', { 11: floats(3) }, DIMENSION],
    ['a short result', { 12: floats(7) }, DIMENSION],
    ['a detached result', { 14: detached(8) }, DIMENSION],
  ])('refuse a softmax step with %s, writing nothing', (_, changes, code) => {
    const given = softmaxStep(changes);
    refuses(() => calls.sampledSoftmaxStep(...given), code);
    for (const result of given.slice(12) as Float32Array[]) {
      // Of one that is detached nothing is left to see.
      expect(new Set(result.length === 0 ? [0.5] : result)).toEqual(new Set([0.5]));
    }
  });

  it('take a softmax step without negatives or without rows', () => {
    const none = { 1: floats(0), 5: floats(0), 6: whole(0, 0, 0), 7: whole(), 13: floats(0) };
    // One row has a pair and nothing to tell it from, the other two pairs.
    const loss = calls.sampledSoftmaxStep(...softmaxStep(none));
    expect(loss).toBeCloseTo(0.5 * 2 * Math.log(2), 6);
    const empty = softmaxStep({ 0: floats(0), 6: whole(0), 7: whole(), 8: whole(0), 9: whole() });
    Object.assign(empty, { 10: floats(0), 11: floats(0), 12: floats(0) });
    expect(calls.sampledSoftmaxStep(...empty)).toBe(0);
    expect(empty[13].every((value) => value === 0)).toBe(true);
  });

  it.each<[string, Changes, string]>([
    ['offsets of other nodes', { 0: whole(0, 1, 2) }, DIMENSION],
    ['offsets that fall', { 0: whole(0, 2, 1, 2) }, ARGUMENT],
    ['a neighbour that is none', { 1: whole(1, 3) }, ARGUMENT],
    ['weights of other edges', { 2: floats(3) }, DIMENSION],
    ['no dim', { 3: 0 }, ARGUMENT],
    ['half a node', { 4: floats(5) }, DIMENSION],
    ['another base', { 5: floats(4) }, DIMENSION],
    ['another result', { 7: floats(8) }, DIMENSION],
  ])('refuse smoothing with %s', (_, changes, code) => {
    refuses(() => {
      calls.smoothRows(...smoothing(changes));
    }, code);
  });

  it('refuse to smooth rows in place', () => {
    const rows = floats(6);
    refuses(() => {
      calls.smoothRows(...smoothing({ 4: rows, 7: rows }));
    }, ARGUMENT);
  });

  it('refuse unit rows and masks that do not fit', () => {
    refuses(() => {
      calls.unitRows(floats(6), 4, floats(6), floats(1));
    }, DIMENSION);
    refuses(() => {
      calls.unitRows(floats(8), 4, floats(8), floats(3));
    }, DIMENSION);
    refuses(() => {
      calls.pullBackUnitRows(floats(8), floats(2), 4, floats(4));
    }, DIMENSION);
    refuses(() => {
      calls.dropoutMask(1, 1, floats(4));
    }, ARGUMENT);
    refuses(() => {
      calls.dropoutMask(1, NaN, floats(4));
    }, ARGUMENT);
    refuses(() => {
      calls.dropoutMask(-1, 0.5, floats(4));
    }, ARGUMENT);
  });

  it('leave out the share asked for, by the seed', () => {
    const [mask, again, other] = [5, 5, 6].map((seed) => {
      const values = floats(100_001);
      calls.dropoutMask(seed, 0.2, values);
      return values;
    });
    expect(again).toEqual(mask);
    expect(other).not.toEqual(mask);
    expect(new Set(mask)).toEqual(new Set([0, 1.25]));
    const share = mask!.filter((value) => value === 0).length / mask!.length;
    expect(share).toBeCloseTo(0.2, 2);
    const all = floats(9);
    calls.dropoutMask(1, 0, all);
    expect([...all]).toEqual(new Array(9).fill(1));
  });
});
