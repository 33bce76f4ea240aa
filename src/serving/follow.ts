import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import { requireInteger, requireOptions, requirePath } from '../index/arguments.js';
import { openNewest } from '../index/live-index.js';
import { readPublished, type Published } from '../index/published.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { Deployment } from './deployment.js';
import type { Recommender } from './recommender.js';

/** Options of {@link followPublished}. */
export interface FollowOptions<K extends Key> {
  /** Makes a deployment of an index that was published: opens the model whose version stands there, say. */
  readonly deployment: (
    index: VectorIndex<K>,
    published: Published,
  ) => PromiseLike<Deployment<K>> | Deployment<K>;
  /** Milliseconds between two looks at the folder; 0: only when `refresh` is called. Default 1,000. */
  readonly pollInterval?: number | undefined;
  /** Called when another version is in service. */
  readonly onDeployed?: ((published: Published) => void) | undefined;
  /** Called when a version could not be put in service; the one before stays, and it is tried again. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Keeps a service at the newest version of a folder. */
export interface Following {
  /** Looks at once; says whether there was another version. @throws what opening or deploying throws. */
  refresh(): Promise<boolean>;
  /** Looks no more; what is in service stays so. */
  close(): Promise<void>;
}

const OPTIONS = ['deployment', 'pollInterval', 'onDeployed', 'onError'] as const;
const MOST_POLL_INTERVAL = 24 * 3600 * 1000;
const MOST_PAUSE_MS = 60_000;

/**
 * Puts the newest index of a folder of `publishIndex` in service, with the model that belongs to it, and each one that is
 * published later. Fulfilled when the first one is in service.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND if nothing is published there; what opening or deploying throws.
 *
 * @example
 * const following = await followPublished(recommender, 'items', {
 *   deployment: (index) => modelDeployment({ model, index }),
 * });
 * await following.refresh();
 */
export async function followPublished<K extends Key = number>(
  recommender: Recommender,
  folder: string,
  options: FollowOptions<K>,
): Promise<Following> {
  const { deployment, pollInterval = 1000, onDeployed, onError } = requireOptions(options, OPTIONS);
  requireInteger('pollInterval', pollInterval, 0, MOST_POLL_INTERVAL);
  if (typeof deployment !== 'function') {
    throw badArgument(`deployment must be a function, got ${shown(deployment)}`);
  }
  requirePath(folder);
  let version: number | undefined;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<boolean> | undefined;
  let failures = 0;

  const look = async (): Promise<boolean> => {
    if ((await readPublished(folder)).version === version) return false;
    const { index, published } = await openNewest<K>(folder, { map: true });
    let made: Deployment<K> | undefined;
    try {
      made = await deployment(index, published);
      await recommender.deploy(made);
    } catch (error) {
      index.close();
      // Nobody else knows what it opened besides.
      await made?.close?.();
      throw error;
    }
    ({ version } = published);
    tell(() => onDeployed?.(published));
    return true;
  };
  // After one that is at work, which may have begun before what is looked for was published.
  const refresh = (): Promise<boolean> => {
    const before = looking;
    const next = (async () => {
      const found = await before?.catch(() => false);
      return (!isClosed && (await look())) || found === true;
    })().finally(() => {
      if (looking === next) looking = undefined;
    });
    looking = next;
    return next;
  };
  const poll = (): void => {
    if (isClosed || pollInterval === 0) return;
    // What cannot be put in service is tried again, ever more seldom.
    const pause = Math.max(pollInterval, Math.min(pollInterval * 2 ** failures, MOST_PAUSE_MS));
    timer = setTimeout(() => {
      refresh()
        .then(
          () => (failures = 0),
          (error: unknown) => {
            failures++;
            tell(() => onError?.(error));
          },
        )
        .finally(poll);
    }, pause).unref();
  };

  await refresh();
  poll();
  return {
    refresh,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await looking?.catch(() => undefined);
    },
  };
}

/** A listener that throws ends nothing. */
function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    process.emitWarning(`a listener of deployments threw: ${String(error)}`);
  }
}
