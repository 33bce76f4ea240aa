import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe } from 'vitest';
import { BINARY_KERNELS } from '../../src/tensorflow/kernels/binary.js';
import { CAST_KERNELS } from '../../src/tensorflow/kernels/cast.js';
import { UNARY_KERNELS } from '../../src/tensorflow/kernels/unary.js';
import {
  expectSeen,
  nativeCases,
  prepareBackends,
  random,
  randomBools,
  randomIntegers,
} from './backends.js';

beforeAll(prepareBackends);

afterAll(() => expectSeen({ ...BINARY_KERNELS, ...CAST_KERNELS, ...UNARY_KERNELS }));

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  NaN,
  Infinity,
  -Infinity,
  1e-40,
  -1e-40,
  3e38,
  -3e38,
  0.5,
  88.5,
  -104,
];

/** Every pair of values that are out of the ordinary. */
function specialPairs(): [tf.Tensor, tf.Tensor] {
  const left = SPECIAL.flatMap((value) => SPECIAL.map(() => value));
  const right = SPECIAL.flatMap(() => SPECIAL);
  return [tf.tensor1d(left), tf.tensor1d(right)];
}

const BINARY: Readonly<Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor>> = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  squaredDifference: tf.squaredDifference,
  pow: tf.pow,
  floorDiv: tf.floorDiv,
  mod: tf.mod,
  prelu: tf.prelu,
  equal: tf.equal,
  notEqual: tf.notEqual,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
};

describe.each(Object.entries(BINARY))('%s', (name, apply) => {
  const low = name === 'pow' ? 0.1 : -2; // a negative number has few powers
  nativeCases(2e-6, {
    'of one shape': () => apply(random([3, 5, 7], 1, low), random([3, 5, 7], 2)),
    'long enough for vectors and threads': () =>
      apply(random([300_001], 1, low), random([300_001], 2)),
    'of a scalar': () => apply(random([4, 33], 1, low), tf.scalar(1.5)),
    'of a scalar and more': () => apply(tf.scalar(1.5), random([4, 33], 2)),
    'of rows': () => apply(random([6, 33], 1, low), random([33], 2)),
    'of columns': () => apply(random([6, 1], 1, low), random([6, 33], 2)),
    'both ways': () => apply(random([5, 1, 7, 1], 1, low), random([1, 4, 1, 9], 2)),
    'of inner axes': () => apply(random([2, 3, 1, 5], 1, low), random([3, 4, 1], 2)),
    'of nothing': () => apply(random([0, 3], 1), random([1, 3], 2)),
    'of one tensor twice': () => {
      const x = random([50], 1, low);
      return apply(x, x);
    },
    'of values out of the ordinary': () => apply(...specialPairs()),
  });
});

describe('int32', () => {
  const integers = (): [tf.Tensor, tf.Tensor] => [
    randomIntegers([5, 1, 40], 1, -50, 50),
    randomIntegers([3, 40], 2, 1, 9),
  ];
  nativeCases(0, {
    add: () => tf.add(...integers()),
    sub: () => tf.sub(...integers()),
    mul: () => tf.mul(...integers()),
    'mul that overflows': () =>
      tf.mul(tf.tensor1d([70_000, -70_000], 'int32'), tf.tensor1d([70_000, 60_000], 'int32')),
    maximum: () => tf.maximum(...integers()),
    minimum: () => tf.minimum(...integers()),
    squaredDifference: () => tf.squaredDifference(...integers()),
    floorDiv: () => tf.floorDiv(...integers()),
    mod: () => tf.mod(...integers()),
    neg: () => tf.neg(integers()[0]),
    square: () => tf.square(integers()[0]),
    equal: () => tf.equal(...integers()),
    notEqual: () => tf.notEqual(...integers()),
    greater: () => tf.greater(...integers()),
    greaterEqual: () => tf.greaterEqual(...integers()),
    less: () => tf.less(...integers()),
    lessEqual: () => tf.lessEqual(...integers()),
    sum: () => [tf.sum(integers()[0]), tf.sum(integers()[0], [0, 2])],
    max: () => tf.max(integers()[0], 2),
    min: () => tf.min(integers()[0], 0),
    prod: () => tf.prod(randomIntegers([4, 5], 3, -3, 4), 1),
    'sum of bools': () => tf.sum(randomBools([6, 7], 4), 0),
    addN: () => tf.addN([integers()[0], integers()[0]]),
  });
});

describe('logic', () => {
  const both = (): [tf.Tensor, tf.Tensor] => [randomBools([4, 1, 9], 1), randomBools([3, 9], 2)];
  nativeCases(0, {
    logicalAnd: () => tf.logicalAnd(...both()),
    logicalOr: () => tf.logicalOr(...both()),
    logicalNot: () => tf.logicalNot(both()[0]),
  });
});

const UNARY: Readonly<Record<string, (x: tf.Tensor) => tf.Tensor>> = {
  neg: tf.neg,
  abs: tf.abs,
  sign: tf.sign,
  square: tf.square,
  sqrt: tf.sqrt,
  rsqrt: tf.rsqrt,
  reciprocal: tf.reciprocal,
  exp: tf.exp,
  expm1: tf.expm1,
  log: tf.log,
  log1p: tf.log1p,
  sigmoid: tf.sigmoid,
  tanh: tf.tanh,
  softplus: tf.softplus,
  relu: tf.relu,
  relu6: tf.relu6,
  leakyRelu: (x) => tf.leakyRelu(x, 0.3),
  elu: tf.elu,
  selu: tf.selu,
  step: (x) => tf.step(x, -0.25),
  clipByValue: (x) => tf.clipByValue(x, -0.5, 1.25),
  floor: tf.floor,
  ceil: tf.ceil,
  round: tf.round,
};

describe.each(Object.entries(UNARY))('%s', (_, apply) => {
  nativeCases(3e-7, {
    'of small values': () => apply(random([7, 143], 1, -4, 4)),
    'of large values': () => apply(random([1000], 2, -120, 120)),
    'of tiny values': () => apply(random([1000], 3, -1e-3, 1e-3)),
    'long enough for threads': () => apply(random([300_001], 4)),
    'of a scalar and of nothing': () => [apply(tf.scalar(0.75)), apply(tf.zeros([0, 4]))],
    'of values out of the ordinary': () =>
      apply(tf.tensor1d(SPECIAL.filter((x) => x !== -0 || Object.is(x, 0)))),
  });
});

describe('erf', () => {
  // The cpu backend's own is off by 1.5e-7.
  nativeCases(4e-7, {
    'of values on both sides of its parts': () => tf.erf(random([2000], 1, -5, 5)),
    'of values out of the ordinary': () => tf.erf(tf.tensor1d([NaN, Infinity, -Infinity])),
  });
});

describe('gradients of elu', () => {
  nativeCases(2e-6, {
    eluGrad: () => {
      const x = random([40], 1);
      return tf.grad((y) => tf.elu(y))(x);
    },
  });
});

describe('powers', () => {
  nativeCases(2e-6, {
    'of 2 and 3': () => [
      tf.pow(random([99], 1), tf.scalar(2)),
      tf.pow(random([99], 1), tf.scalar(3)),
    ],
    'of 2, of special values': () => tf.pow(tf.tensor1d(SPECIAL), tf.scalar(2)),
  });
});

describe('cast', () => {
  const floats = () =>
    tf.tensor1d([
      0,
      -0.9,
      0.9,
      1.5,
      -7.99,
      NaN,
      Infinity,
      2147483647,
      -2147483648,
      3e9,
      -3e9,
      1e20,
    ]);
  nativeCases(0, {
    'float32 to int32': () => floats().cast('int32'),
    'float32 to bool': () => floats().cast('bool'),
    'float32 to itself': () => floats().cast('float32'),
    'int32 to others': () => {
      const x = randomIntegers([4, 9], 1, -2, 3);
      return [x.cast('float32'), x.cast('bool'), x.cast('int32')];
    },
    'bool to others': () => {
      const x = randomBools([4, 9], 1);
      return [x.cast('float32'), x.cast('int32'), x.cast('bool')];
    },
  });
});
