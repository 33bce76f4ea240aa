import { channel } from 'node:diagnostics_channel';
import { LichenError } from '../errors.js';
import {
  BACKENDS,
  parseBackend,
  startBackend,
  TENSORFLOW_NAMES,
  type BackendName,
  type StartedBackend,
  type TensorFlowName,
  type TowerBackend,
} from './backends.js';
import { importPackage, type ImportPackage } from '../vectors/packages.js';

/** TensorFlow.js as lichen uses it; the packages are optional peers and loaded on first use. */
export type TensorFlow = typeof import('@tensorflow/tfjs-core');

export type { TowerBackend };

/** Which backend computes, and why. */
export interface BackendChoice {
  /** What computes. */
  readonly backend: BackendName;
  /** In words. */
  readonly reason: string;
  /** The backends that were tried before it and could not start. */
  readonly tried: readonly {
    /** Its name. */
    readonly backend: BackendName;
    /** Why it could not start. */
    readonly error: LichenError;
  }[];
}

/** TensorFlow.js together with the backend that computes. */
export interface LoadedTensorFlow {
  /** TensorFlow.js. */
  readonly tf: TensorFlow;
  /** By the name that `tf.getBackend()` gives: `tensorflow` is the one asked for as `gpu`. */
  readonly backend: TensorFlowName;
  /** Which backend it is, and why. */
  readonly choice: BackendChoice;
}

/** Options of {@link loadTensorFlow}. */
export interface LoadTensorFlowOptions {
  /** Imports a package by its name. Default: `import()`. */
  load?: ImportPackage | undefined;
  /** Told which backend computes. */
  onBackend?: ((choice: BackendChoice) => void) | undefined;
}

/** The channel of `node:diagnostics_channel` on which every {@link BackendChoice} is published. */
export const BACKEND_CHANNEL = 'lichen:backend';

const choices = channel(BACKEND_CHANNEL);

/**
 * Loads TensorFlow.js and makes `backend` its current backend; it stays so afterwards. The choice is published on
 * {@link BACKEND_CHANNEL}.
 * @throws ERR_LICHEN_ARGUMENT for another name, ERR_LICHEN_MISSING_PACKAGE naming what to install, ERR_LICHEN_UNSUPPORTED when the backend, or with `auto`
 * every one, cannot start on this machine.
 *
 * @example
 * const { tf, choice } = await loadTensorFlow('auto');
 * console.log(choice.backend, choice.reason);
 */
export async function loadTensorFlow(
  backend: TowerBackend,
  { load = importPackage, onBackend }: LoadTensorFlowOptions = {},
): Promise<LoadedTensorFlow> {
  const wanted = parseBackend(backend);
  const { choice, tf } = await inTurn(async () =>
    wanted === 'auto'
      ? await startFirst(load)
      : chosen(wanted, await startBackend(wanted, load), 'asked for', []),
  );
  choices.publish(choice);
  onBackend?.(choice);
  return { tf, backend: TENSORFLOW_NAMES[choice.backend], choice };
}

/**
 * Makes a loaded backend the current one again: it is a setting of the whole process, and somebody else may have had a
 * turn since.
 */
export async function resumeBackend({
  tf,
  backend,
}: Pick<LoadedTensorFlow, 'tf' | 'backend'>): Promise<void> {
  if (tf.getBackend() !== backend) await tf.setBackend(backend);
}

let turn: Promise<unknown> = Promise.resolve();

/**
 * Runs `start` once those before it have ended: of two backends that start at once, TensorFlow.js takes the name of one
 * and the kernels of the other.
 */
function inTurn<T>(start: () => Promise<T>): Promise<T> {
  const started = turn.then(start);
  turn = started.catch(() => undefined);
  return started;
}

interface Chosen {
  readonly tf: TensorFlow;
  readonly choice: BackendChoice;
}

async function startFirst(load: ImportPackage): Promise<Chosen> {
  const tried: { backend: BackendName; error: LichenError }[] = [];
  for (const backend of BACKENDS) {
    try {
      const started = await startBackend(backend, load);
      const reason = `the first of ${BACKENDS.join(', ')} that starts`;
      return chosen(backend, started, reason, tried);
    } catch (error) {
      if (!(error instanceof LichenError)) throw error;
      tried.push({ backend, error });
    }
  }
  throw nothingStarts(tried);
}

function chosen(
  backend: BackendName,
  { tf, remark }: StartedBackend,
  reason: string,
  tried: BackendChoice['tried'],
): Chosen {
  const whole = remark === undefined ? reason : `${reason}; ${remark}`;
  return { tf, choice: { backend, reason: whole, tried } };
}

function nothingStarts(tried: BackendChoice['tried']): LichenError {
  const isMissing = tried.every(({ error }) => error.code === 'ERR_LICHEN_MISSING_PACKAGE');
  if (isMissing) {
    return new LichenError(
      'ERR_LICHEN_MISSING_PACKAGE',
      'TensorFlow.js is not installed: npm install @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-cpu@4 ' +
        '@tensorflow/tfjs-backend-wasm@4, or for CUDA @tensorflow/tfjs-node-gpu@4',
      { cause: tried.at(-1)?.error },
    );
  }
  const reasons = tried.map(({ backend, error }) => `${backend}: ${error.message}`);
  return new LichenError(
    'ERR_LICHEN_UNSUPPORTED',
    `no backend of TensorFlow.js can start (${reasons.join('; ')})`,
  );
}
