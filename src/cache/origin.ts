import { LichenError, shown } from '../errors.js';
import { LatencyRecord } from './guarded.js';
import type { CacheKey } from './key-hash.js';
import type { LoadMany } from './tiered-options.js';
import { withinTime } from './within-time.js';

/** Where values come from that no tier has: one call for many keys, within a time, counted. */
export class Origin<K extends CacheKey, V> {
  loads = 0;
  keys = 0;
  errors = 0;
  private readonly time = new LatencyRecord();

  constructor(
    private readonly load: LoadMany<K, V>,
    private readonly timeoutMs: number,
  ) {}

  /**
   * The values of some keys, in their order, and how long that took.
   * @throws ERR_LICHEN_DEADLINE, ERR_LICHEN_ARGUMENT unless there is one for each; what `load` throws.
   */
  async get(
    keys: readonly K[],
    controller: AbortController,
  ): Promise<{ readonly loaded: readonly (V | undefined)[]; readonly ms: number }> {
    this.loads++;
    this.keys += keys.length;
    const started = performance.now();
    try {
      const work = async () => this.load(keys, { signal: controller.signal });
      const loaded = await withinTime(work(), this.timeoutMs, () => {
        const what = `loading took more than ${this.timeoutMs} ms`;
        const error = new LichenError('ERR_LICHEN_DEADLINE', what);
        controller.abort(error);
        return error;
      });
      requireLoaded(keys, loaded);
      return { loaded, ms: performance.now() - started };
    } catch (error) {
      this.errors++;
      throw error;
    } finally {
      this.time.add(performance.now() - started);
    }
  }

  percentiles(): ReturnType<LatencyRecord['percentiles']> {
    return this.time.percentiles();
  }
}

function requireLoaded(keys: readonly unknown[], loaded: unknown): void {
  if (Array.isArray(loaded) && loaded.length === keys.length) return;
  const got = Array.isArray(loaded) ? `${loaded.length} values` : shown(loaded);
  throw new LichenError(
    'ERR_LICHEN_ARGUMENT',
    `load must give an array of one value for each of ${keys.length} keys, got ${got}`,
  );
}
