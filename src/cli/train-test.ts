import { InvalidArgumentError } from 'commander';
import { LichenArgumentError } from '../errors.js';
import { coldBaselines, type ItemTags } from '../evaluation/cold-baselines.js';
import { Filter } from '../index/filter.js';
import { FlatIndex } from '../index/flat.js';
import { holdOutItems, holdOutLast, holdOutShare, type Split } from '../interactions/hold-out.js';
import type { Interactions } from '../interactions/interactions.js';
import { readInteractions } from '../interactions/reader.js';
import { rankingMetrics } from '../ranking/ranking-metrics.js';
import { NO_ITEM, recommendBatch } from '../ranking/recommend.js';
import type { FeatureColumns } from '../towers/features.js';
import { TWO_TOWER_DEFAULTS } from '../towers/options.js';
import type { TwoTowerModel } from '../towers/two-tower-model.js';
import { requireNewPairs } from './known-pairs.js';
import type { Terminal } from './terminal.js';
import { share } from './usage.js';

/** What of the interactions is held out of training, to be measured on. */
export type HoldOut =
  | { readonly kind: 'last' }
  | { readonly kind: 'share'; readonly share: number }
  | { readonly kind: 'items'; readonly share: number };

/** Metrics by name. */
type Metrics = Readonly<Record<string, number>>;

/** Interactions to train on and to test with; `heldItems` are new to the model and ranked among themselves. */
interface TestSplit extends Split {
  readonly heldItems?: Uint32Array;
}

/** Parses the option: last, SHARE or items=SHARE. */
export function parseHoldOut(text: string): HoldOut {
  if (text === 'last') return { kind: 'last' };
  const [, ofItems, number] = /^(items=)?(.+)$/.exec(text) ?? [];
  try {
    return { kind: ofItems === undefined ? 'share' : 'items', share: share(number ?? '') };
  } catch {
    throw new InvalidArgumentError('Expected last, a number between 0 and 1, or items=NUMBER.');
  }
}

/** What to train on and what to test with; undefined if there is no test. */
export async function heldOut(
  interactions: Interactions,
  flags: { test?: string; holdOut?: HoldOut; seed?: number | undefined },
  signal: AbortSignal,
): Promise<TestSplit | undefined> {
  const { test, holdOut, seed = TWO_TOWER_DEFAULTS.seed } = flags;
  if (test !== undefined && holdOut !== undefined) {
    throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', 'give --test or --hold-out, not both');
  }
  if (test !== undefined) {
    const { users, items } = interactions;
    const tested = await readInteractions(test, { users, items, signal });
    requireNewPairs(interactions, tested);
    return { train: interactions, test: tested };
  }
  switch (holdOut?.kind) {
    case undefined:
      return undefined;
    case 'last':
      return holdOutLast(interactions);
    case 'share':
      return holdOutShare(interactions, holdOut.share, seed);
    case 'items':
      return holdOutItems(interactions, holdOut.share, seed);
  }
}

/** recall@k and ndcg@k by exact search over all items that a user does not have yet, or over the held items. */
export async function testMetrics(
  model: TwoTowerModel,
  split: TestSplit,
  flags: { cutOffs: readonly number[]; itemFeatures?: FeatureColumns | undefined },
  terminal: Terminal,
): Promise<{ metrics: Metrics; baselines?: Readonly<Record<string, Metrics>> }> {
  const { signal } = terminal;
  const { heldItems, train, test } = split;
  const { items, userVectors, itemVectors } = model;
  using index = new FlatIndex({ dim: model.dim, metric: 'dot' });
  await index.add(itemVectors, { signal });
  const k = Math.max(...flags.cutOffs);
  const filter = heldItems && Filter.ofRows(heldItems, items.size);
  const ranked = await terminal.withProgress('testing', (onProgress) =>
    recommendBatch(
      { index, items, queries: userVectors, known: train },
      { k, filter, signal, onProgress },
    ),
  );
  const metrics = rankingMetrics(ranked, test, flags.cutOffs).values;
  if (heldItems === undefined) return { metrics };
  const tags = flags.itemFeatures && itemTags(flags.itemFeatures, items.size);
  if (tags === undefined) return { metrics };
  const baselines = coldBaselines(train, heldItems, tags);
  const measure = (scores: (user: number) => Float32Array): Metrics =>
    rankingMetrics(rankedBy(scores, train.users.size, heldItems, k), test, flags.cutOffs).values;
  return {
    metrics,
    baselines: {
      'popularity of tags': measure(() => baselines.popularity),
      'tag overlap': measure((user) => baselines.overlap(user)),
    },
  };
}

/** The `k` of the items with the highest scores for each user, best first. */
function rankedBy(
  scores: (user: number) => Float32Array,
  users: number,
  items: Uint32Array,
  k: number,
): Uint32Array {
  const ranked = new Uint32Array(users * k).fill(NO_ITEM);
  const places = Array.from(items.keys());
  for (let user = 0; user < users; user++) {
    const of = scores(user);
    const best = places.slice().sort((a, b) => of[b]! - of[a]! || a - b);
    for (let at = 0; at < Math.min(k, items.length); at++)
      ranked[user * k + at] = items[best[at]!]!;
  }
  return ranked;
}

/** All categories of all categorical features, numbered. */
function itemTags(columns: FeatureColumns, items: number): ItemTags | undefined {
  const categorical = Object.entries(columns).filter(([, { type }]) => type === 'categorical');
  if (categorical.length === 0) return undefined;
  const numbers = new Map<string, number>();
  const offsets = new Uint32Array(items + 1);
  const tags: number[] = [];
  for (let item = 0; item < items; item++) {
    for (const [name, column] of categorical) {
      const value = column.values[item];
      for (const tag of value === null || value === undefined ? [] : [value].flat()) {
        const text = `${name}\n${tag}`;
        if (!numbers.has(text)) numbers.set(text, numbers.size);
        tags.push(numbers.get(text)!);
      }
    }
    offsets[item + 1] = tags.length;
  }
  return { offsets, tags, count: numbers.size };
}
