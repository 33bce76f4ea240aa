import * as tf from '@tensorflow/tfjs';
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  lichenFallbacks,
  registerLichenBackend,
  resetLichenFallbacks,
} from '../../src/tensorflow/lichen-backend.js';
import { expectSame, prepareBackends, random, resultsOn, type Result } from './backends.js';

beforeAll(prepareBackends);
beforeEach(async () => {
  await tf.setBackend('lichen');
  resetLichenFallbacks();
});

/** Long enough for its array to be used again. */
const LONG = 5000;

describe('registerLichenBackend', () => {
  it('may be called again, and changes nothing then', () => {
    const before = tf.engine().backend;
    registerLichenBackend(tf, cpu);
    expect(tf.getBackend()).toBe('lichen');
    expect(tf.engine().backend).toBe(before);
  });

  it('has every kernel of the cpu backend', () => {
    const names = (backend: string) =>
      tf
        .getKernelsForBackend(backend)
        .map(({ kernelName }) => kernelName)
        .sort();
    expect(names('lichen')).toEqual(names('cpu'));
  });
});

describe('lichenFallbacks', () => {
  it('counts what runs in JavaScript, not what only gets another shape', () => {
    tf.tidy(() => {
      const x = random([4, 6], 1);
      tf.cumsum(x).cumsum();
      tf.atan(x);
      tf.add(x, x).reshape([24]).expandDims(0).clone();
    });
    expect(new Map(lichenFallbacks())).toEqual(
      new Map([
        ['Cumsum', 2],
        ['Atan', 1],
      ]),
    );
    resetLichenFallbacks();
    expect(lichenFallbacks().size).toBe(0);
  });

  const fallbacks: Readonly<Record<string, () => Result>> = {
    'complex numbers': () =>
      tf.real(tf.mul(tf.complex([1, 2], [3, 4]), tf.complex([1, 1], [2, 2]))),
    'absolute values of int32': () => tf.abs(tf.tensor1d([-1, 2], 'int32')),
    strings: () => tf.equal(tf.tensor1d(['a', 'b']), tf.tensor1d(['a', 'c'])).cast('int32'),
    'a convolution': () =>
      tf.conv2d(
        random([1, 5, 5, 2], 1) as tf.Tensor4D,
        random([3, 3, 2, 4], 2) as tf.Tensor4D,
        1,
        'same',
      ),
    'a choice of int32': () =>
      tf.where(
        tf.tensor1d([1, 0], 'bool'),
        tf.tensor1d([1, 2], 'int32'),
        tf.tensor1d([3, 4], 'int32'),
      ),
  };
  it.each(Object.entries(fallbacks))('has the cpu backend do %s', async (_, compute) => {
    const expected = await resultsOn('cpu', compute);
    const actual = await resultsOn('lichen', compute);
    expectSame(actual, expected, 1e-6);
    expect(lichenFallbacks().size).toBeGreaterThan(0);
  });

  it('leaves messages of what is wrong as they are', () => {
    const [a, b] = [tf.zeros([2, 3]), tf.zeros([2, 4])];
    expect(() => tf.add(a, b)).toThrow(/could not be broadcast/);
    expect(() => tf.matMul(a, b)).toThrow(/inner shapes/);
    const outside = tf.tensor1d([0, 2], 'int32');
    expect(() => tf.gather(a, outside)).toThrow(/not in \[0, 1\]/);
    tf.dispose([a, b, outside]);
  });
});

describe('memory', () => {
  it('never changes what dataSync gave', () => {
    const doubled = tf.tidy(() => tf.mul(random([LONG], 1), 2));
    const values = doubled.dataSync<'float32'>();
    const copy = values.slice();
    doubled.dispose();
    tf.tidy(() => {
      for (let n = 0; n < 5; n++) tf.add(random([LONG], n), 1);
    });
    expect(values).toEqual(copy);
  });

  it('gives values whose buffers hold nothing else, whatever memory they had', () => {
    for (const length of [LONG, LONG + 1, LONG + 77]) {
      const sum = tf.tidy(() => tf.add(tf.zeros([length]), length));
      const values = sum.dataSync<'float32'>();
      expect(values.buffer.byteLength).toBe(4 * length);
      expect(new Set(values)).toEqual(new Set([length]));
      // What was read is still the tensor's, and the next tensor has other memory.
      const more = tf.tidy(() => tf.add(sum, 1));
      expect(sum.dataSync()).toEqual(values);
      expect(more.dataSync<'float32'>()[length - 1]).toBe(length + 1);
      tf.dispose([sum, more]);
    }
  });

  it('never changes the arrays that tensors were made of', () => {
    const given = new Float32Array(LONG).fill(3);
    tf.tidy(() => {
      const x = tf.tensor1d(given);
      tf.relu(x);
    });
    tf.tidy(() => {
      for (let n = 0; n < 5; n++) tf.add(tf.zeros([LONG]), n);
    });
    expect(given.every((value) => value === 3)).toBe(true);
  });

  it('keeps what kernels in JavaScript have taken from an argument', () => {
    // The cpu backend's slice is a view of its argument; so is what its split and unstack give.
    const kept = tf.tidy(() => {
      const source = tf.add(random([LONG], 1), 0);
      return tf
        .cumsum(source)
        .mul(0)
        .add(source.slice(0, LONG - 1).pad([[0, 1]]));
    });
    const expected = tf.tidy(() => random([LONG], 1)).dataSync<'float32'>();
    tf.tidy(() => {
      for (let n = 0; n < 5; n++) tf.add(tf.zeros([LONG]), n);
    });
    const values = kept.dataSync<'float32'>();
    expect(values.subarray(0, LONG - 1)).toEqual(expected.subarray(0, LONG - 1));
    kept.dispose();
  });

  it('uses an array again only when no tensor shares its data', () => {
    const [first, second] = tf.tidy((): [tf.Tensor, tf.Tensor] => {
      const sum = tf.add(random([LONG], 1), 1);
      return [sum.reshape([LONG / 5, 5]), sum.clone()];
    });
    const expected = tf.tidy(() => tf.add(random([LONG], 1), 1)).dataSync<'float32'>();
    first.dispose();
    tf.tidy(() => tf.mul(random([LONG], 2), 7));
    expect(second.dataSync()).toEqual(expected);
    second.dispose();
  });

  it('leaves neither tensors nor buffers behind', () => {
    const work = () =>
      tf.tidy(() => {
        const x = random([60, 40], 1);
        const loss = (w: tf.Tensor): tf.Scalar =>
          tf.sum(tf.softmax(tf.matMul(x, tf.pow(w, 3)))).asScalar();
        tf.grad(loss)(random([40, 30], 2));
        tf.fused.matMul({
          a: x,
          b: random([40, 9], 3),
          bias: random([1], 4),
          activation: 'prelu',
          preluActivationWeights: random([9], 5),
        });
        tf.batchNorm(
          x,
          random([40], 6, 0.1),
          random([40], 7, 0.1),
          random([40], 8),
          random([40], 9),
        );
        tf.sum(random([4, 5, 6], 1), [0, 2]);
        tf.neg(tf.tensor1d([1, 2], 'int32'));
        tf.logicalNot(tf.tensor1d([1, 0], 'bool'));
        tf.floorDiv(x, 2);
        tf.addN([x, x, x]);
        tf.cumsum(x);
      });
    work();
    const [tensors, buffers] = [tf.memory().numTensors, tf.engine().backend.numDataIds()];
    for (let n = 0; n < 5; n++) work();
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tf.engine().backend.numDataIds()).toBe(buffers);
  });
});
