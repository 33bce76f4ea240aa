import { describe, expect, it } from 'vitest';
import {
  GRAPH_DEFAULTS,
  resolveTwoTowerOptions,
  TOWER_DEFAULTS,
  TWO_TOWER_DEFAULTS,
  type TwoTowerOptions,
} from '../../src/towers/options.js';

describe('resolveTwoTowerOptions', () => {
  it('fills in frozen defaults', () => {
    expect(resolveTwoTowerOptions()).toEqual(TWO_TOWER_DEFAULTS);
    expect(resolveTwoTowerOptions({ dim: undefined, epochs: 3 })).toEqual({
      ...TWO_TOWER_DEFAULTS,
      epochs: 3,
    });
    expect(Object.isFrozen(TWO_TOWER_DEFAULTS)).toBe(true);
    expect(Object.isFrozen(resolveTwoTowerOptions())).toBe(true);
  });

  it('has other defaults for ids, and for ids with a graph', () => {
    const id = { ...TWO_TOWER_DEFAULTS, userTower: 'id', ...TOWER_DEFAULTS.id };
    expect(resolveTwoTowerOptions({ userTower: 'id' })).toEqual(id);
    expect(resolveTwoTowerOptions({ userTower: 'id', graphLayers: 2, epochs: 3 })).toEqual({
      ...id,
      ...GRAPH_DEFAULTS,
      graphLayers: 2,
      epochs: 3,
    });
  });

  it('leaves out what does not decide the outcome', () => {
    const signal = new AbortController().signal;
    const onProgress = (): void => undefined;
    expect(resolveTwoTowerOptions({ signal, onProgress })).toEqual(TWO_TOWER_DEFAULTS);
  });

  it.each([
    [{ dim: 0 }, 'dim must be a whole number in 1..4096, got 0'],
    [{ dim: 2.5 }, 'dim must be a whole number in 1..4096, got 2.5'],
    [{ epochs: -1 }, 'epochs must be'],
    [{ batchSize: 1 }, 'batchSize must be a whole number in 2..65536, got 1'],
    [{ learningRate: 0 }, 'learningRate must be a finite number above 0, got 0'],
    [{ learningRate: Infinity }, 'learningRate must be'],
    [{ finalLearningRate: 1.5 }, 'finalLearningRate must be a number in 0..1, got 1.5'],
    [{ temperature: NaN }, 'temperature must be a finite number above 0, got NaN'],
    [{ normalize: 'yes' }, 'normalize must be true or false, got "yes"'],
    [{ logQ: 1 }, 'logQ must be'],
    [{ userTower: 'id', graphLayers: 5 }, 'graphLayers must be a whole number in 0..4, got 5'],
    [{ graphLayers: 1 }, 'graphLayers must be 0 with the user tower history, got 1'],
    [{ maskKnown: null }, 'maskKnown must be true or false, got null'],
    [{ weightDecay: -0.1 }, 'weightDecay must be'],
    [{ seed: 1.5 }, 'seed must be a whole number in 0..2^53-1, got 1.5'],
    [
      { backend: 'webgl' },
      'backend must be one of auto, gpu, lichen-cuda, lichen, wasm, cpu, got "webgl"',
    ],
    [{ signal: {} }, 'signal must be an AbortSignal, got an object'],
    [{ onProgress: 1 }, 'onProgress must be a function, got 1'],
    [{ epoch: 3 }, 'unknown option "epoch", expected some of dim, userTower, loss,'],
    [{ toString: 3 }, 'unknown option "toString"'],
    [null, 'options must be an object, got null'],
    [[], 'options must be an object, got an array'],
  ])('refuses %j', (options, message) => {
    let error: unknown;
    try {
      resolveTwoTowerOptions(options as TwoTowerOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
    expect((error as Error).message).toContain(message);
  });
});
