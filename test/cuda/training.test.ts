import * as tf from '@tensorflow/tfjs';
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { lichenFallbacks, resetLichenFallbacks } from '../../src/tensorflow/fallbacks.js';
import {
  registerLichenCudaBackend,
  type CudaAccelerator,
} from '../../src/tensorflow/lichen-cuda-backend.js';
import { DualEncoder } from '../../src/towers/dual-encoder.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { TfScorer } from '../../src/tensorflow/tf-scorer.js';
import { groups, itemTower, quick, userTower } from '../towers/networks.js';
import { twoGroups } from '../towers/planted.js';
import { describeSimulated } from './simulated.js';

const BACKENDS = ['lichen', 'lichen-cuda'] as const;

function accelerator(): CudaAccelerator {
  return (tf.backend() as unknown as { accelerator: CudaAccelerator }).accelerator;
}

/** Losses by the step they were told at, which is by the clock, and that of all. */
class Losses {
  private readonly told = new Map<number, number>();
  end = NaN;

  readonly onProgress = ({ step, loss }: { step: number; loss: number }): void => {
    this.told.set(step, loss);
  };

  /** Expects the losses of the same seed. */
  expectLike(other: Losses): void {
    expect(this.end / other.end).toBeCloseTo(1, 4);
    for (const [step, loss] of this.told) {
      const known = other.told.get(step);
      if (known !== undefined) expect(loss / known).toBeCloseTo(1, 4);
    }
  }
}

describeSimulated('towers on the backend lichen-cuda', () => {
  beforeAll(() =>
    registerLichenCudaBackend(tf, cpu, { leastOperations: 0, operationsPerValue: 0 }),
  );

  afterEach(() => {
    accelerator().done.clear();
  });

  it.each(['softmax', 'ccl'] as const)('of ids have the losses of lichen, by %s', async (loss) => {
    const small = twoGroups(60, 40, 5);
    const losses: Losses[] = [];
    for (const backend of BACKENDS) {
      const of = new Losses();
      const { onProgress } = of;
      const options = { loss, normalize: true, epochs: 3, dim: 8, batchSize: 20, seed: 5 };
      const model = await TwoTowerModel.train(small, { ...options, backend, onProgress });
      expect(model.info.backend).toBe(backend);
      of.end = model.info.loss;
      losses.push(of);
    }
    losses[1]!.expectLike(losses[0]!);
    // A step of the softmax is one call of the processor.
    if (loss === 'ccl') expect(accelerator().done.get('BatchMatMul')).toBeGreaterThan(20);
  });

  it('of networks have the losses of lichen, and leave nothing to JavaScript', async () => {
    const losses: Losses[] = [];
    for (const backend of BACKENDS) {
      const of = new Losses();
      const { onProgress } = of;
      const towers = { userTower: userTower(), itemTower: itemTower() };
      const options = { ...quick, epochs: 3, backend, onProgress };
      resetLichenFallbacks();
      const encoder = await DualEncoder.train(groups, { ...options, ...towers });
      of.end = encoder.info.loss;
      expect([...lichenFallbacks()]).toEqual([]);
      losses.push(of);
    }
    losses[1]!.expectLike(losses[0]!);
    expect(accelerator().done.get('BatchMatMul')).toBeGreaterThan(20);
  });

  it('have the results of lichen from TfScorer', async () => {
    const { itemVectors, userVectors } = await TwoTowerModel.train(groups, {
      ...{ epochs: 1, dim: 8, seed: 5, backend: 'lichen' },
    });
    const results: unknown[] = [];
    for (const backend of BACKENDS) {
      const scorer = new TfScorer(itemVectors, { metric: 'dot', backend });
      results.push(await scorer.search(userVectors, { k: 5 }));
      scorer.dispose();
    }
    expect(accelerator().done.get('TopK')).toBeGreaterThan(0);
    expect(results[1]).toEqual(results[0]);
  });
});
