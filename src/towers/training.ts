import { setImmediate } from 'node:timers/promises';
import { LichenError, throwIfAborted } from '../errors.js';
import { resumeBackend, type LoadedTensorFlow } from '../tensorflow/tensorflow.js';
import type { ResolvedTwoTowerOptions, TwoTowerOptions } from './options.js';
import type { TwoTowerTrainer } from './trainer.js';

/** How long training may keep the event loop waiting, beyond the step at work. */
const YIELD_MILLISECONDS = 20;

/** How often progress is told. */
const PROGRESS_MILLISECONDS = 250;

/** What a validation says: metrics by name, of which the first decides. */
export type Validation = Readonly<Record<string, number>>;

/** Says how good the towers are now, and can put them back to how they were at the best time. */
export interface Validator {
  /** @returns the metrics, and whether the first is the best so far. */
  validate(): Promise<{ metrics: Validation; best: boolean }>;
}

/** How a training went. */
export interface TrainingOutcome {
  /** Epochs that were trained, or those up to the best validation. */
  readonly epochs: number;
  /** Mean loss a pair of the last epoch. */
  readonly loss: number;
  /** Of the best epoch; absent without validation. */
  readonly validation?: Validation;
}

/**
 * Trains up to `options.epochs` epochs, fewer if the validation gets no better.
 * @throws ERR_LICHEN_NOT_FINITE when the training diverges, ERR_LICHEN_ABORTED.
 */
export async function runEpochs(
  trainer: TwoTowerTrainer,
  loaded: LoadedTensorFlow,
  options: ResolvedTwoTowerOptions,
  { signal, onProgress }: Pick<TwoTowerOptions, 'signal' | 'onProgress'>,
  validator?: Validator,
): Promise<TrainingOutcome> {
  const { epochs, patience, validateEvery } = options;
  const steps = epochs * trainer.stepsPerEpoch;
  const told = { step: 0, at: performance.now(), yielded: performance.now() };
  let outcome: TrainingOutcome = { epochs, loss: NaN };
  let validation: Validation | undefined;
  let worse = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let sum = 0;
    let pairs = 0;
    const tell = (): void => {
      onProgress?.({
        epoch,
        epochs,
        step: told.step,
        steps,
        loss: sum / pairs,
        ...(validation && { validation }),
      });
    };
    for (const done of trainer.epoch()) {
      told.step++;
      sum += done.loss * done.pairs;
      pairs += done.pairs;
      if (!Number.isFinite(sum)) throw diverged(sum / pairs, epoch, told.step, options);
      const now = performance.now();
      if (now - told.at >= PROGRESS_MILLISECONDS) {
        told.at = now;
        tell();
      }
      if (now - told.yielded < YIELD_MILLISECONDS) continue;
      await giveWay(loaded, signal);
      told.yielded = performance.now();
    }
    throwIfAborted(signal, 'training');
    const loss = sum / pairs;
    if (validator !== undefined && (epoch % validateEvery === 0 || epoch === epochs)) {
      const { metrics, best } = await validator.validate();
      await giveWay(loaded, signal);
      validation = metrics;
      worse = best ? 0 : worse + 1;
      if (best) outcome = { epochs: epoch, loss, validation };
    }
    if (validator === undefined) outcome = { epochs: epoch, loss };
    tell();
    if (worse >= patience) break;
  }
  return outcome;
}

/** Lets other work of the event loop have its turn. */
async function giveWay(loaded: LoadedTensorFlow, signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  throwIfAborted(signal, 'training');
  await resumeBackend(loaded);
}

function diverged(
  loss: number,
  epoch: number,
  step: number,
  { learningRate, temperature }: ResolvedTwoTowerOptions,
): LichenError {
  return new LichenError(
    'ERR_LICHEN_NOT_FINITE',
    `training diverged: the loss is ${loss} in epoch ${epoch} (step ${step}); try a smaller learningRate ` +
      `(it was ${learningRate}), less weightDecay or a larger temperature (it was ${temperature})`,
  );
}
