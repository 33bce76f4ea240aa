import * as tf from '@tensorflow/tfjs';
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import type { KernelFamily } from '../../src/tensorflow/kernel.js';
import {
  lichenFallbacks,
  registerLichenBackend,
  resetLichenFallbacks,
} from '../../src/tensorflow/lichen-backend.js';
import { Random } from '../../src/vectors/random.js';

/** What a computation gives. */
export type Result = tf.Tensor | tf.Tensor[];

/** Makes both backends ready. */
export function prepareBackends(): void {
  tf.env().set('PROD', true); // the cpu backend advertises another package otherwise
  registerLichenBackend(tf, cpu);
}

/** Values that do not depend on the backend. */
export interface Values {
  readonly shape: number[];
  readonly dtype: tf.DataType;
  readonly data: readonly number[];
}

/** What a computation gives on a backend, its tensors disposed. */
export async function resultsOn(backend: string, compute: () => Result): Promise<Values[]> {
  await tf.setBackend(backend);
  const results = [tf.tidy(compute)].flat();
  return results.map((tensor) => {
    const values = {
      shape: tensor.shape,
      dtype: tensor.dtype,
      data: Array.from(tensor.dataSync()),
    };
    tensor.dispose();
    return values;
  });
}

/** Uniform values of a shape. */
export function random(shape: readonly number[], seed: number, low = -2, high = 2): tf.Tensor {
  const source = new Random(seed);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const values = new Float32Array(size).map(() => low + (high - low) * source.uniform());
  return tf.tensor(values, [...shape]);
}

/** Uniform whole numbers from `low` to below `high`. */
export function randomIntegers(
  shape: readonly number[],
  seed: number,
  low: number,
  high: number,
): tf.Tensor {
  const source = new Random(seed);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const values = new Int32Array(size).map(() => low + source.below(high - low));
  return tf.tensor(values, [...shape], 'int32');
}

/** Truths of a shape. */
export function randomBools(shape: readonly number[], seed: number): tf.Tensor {
  return randomIntegers(shape, seed, 0, 2).cast('bool');
}

/** The same shapes, types and values, these within a tolerance relative to the greater of 1 and the expected one. */
export function expectSame(
  actual: readonly Values[],
  expected: readonly Values[],
  tolerance: number,
) {
  expect(actual.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(
    expected.map(({ shape, dtype }) => ({ shape, dtype })),
  );
  actual.forEach(({ data }, n) => {
    const wanted = expected[n]!.data;
    expect(data.length).toBe(wanted.length);
    const wrong = data.findIndex((value, at) => !isNear(value, wanted[at]!, tolerance));
    if (wrong >= 0) expect(data[wrong], `value ${wrong} of result ${n}`).toBe(wanted[wrong]);
  });
}

function isNear(value: number, wanted: number, tolerance: number): boolean {
  if (Object.is(value, wanted) || value === wanted) return true;
  return Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
}

/** Expects the same of both backends, and on lichen not one kernel in JavaScript. */
export async function expectNative(compute: () => Result, tolerance = 1e-6): Promise<void> {
  const expected = await resultsOn('cpu', compute);
  resetLichenFallbacks();
  const actual = await resultsOn('lichen', compute);
  expect([...lichenFallbacks()]).toEqual([]);
  expectSame(actual, expected, tolerance);
}

/** Kernels that the cases of this file have run. */
const seen = new Set<string>();

/** A test for each case: the same of both backends. */
export function nativeCases(
  tolerance: number,
  table: Readonly<Record<string, () => Result>>,
): void {
  it.each(Object.entries(table))('%s', async (_, compute) => {
    await expectNative(compute, tolerance);
    const { kernelNames } = await tf.profile(() => tf.tidy(compute));
    for (const name of kernelNames) seen.add(name);
  });
}

/** Expects that cases have run all kernels of a family. */
export function expectSeen(family: KernelFamily): void {
  expect(Object.keys(family).filter((name) => !seen.has(name))).toEqual([]);
}
