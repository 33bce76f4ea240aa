// A service to be measured: a user tower on TensorFlow.js, a graph search, a second stage that scores anew in f32.

import { join } from 'node:path';
import { createRequire } from 'node:module';
import { matrix } from '../../src/index.js';
import type { Deployment, Recommender, RecommenderOptions } from '../../src/index.js';
import type * as http from '../../src/http/index.js';
import { sharedMatrix } from '../../src/pool/user-tower.js';
import { compiled } from './compiled.js';
import { histories, historiesOf } from './histories.js';
import { createTower } from './mlp-tower.js';
import { mixture } from './vectors.js';

export const USERS = 4096;
const DIM = 64;
const HISTORY = 20;

/** What a service is made of. */
export interface ServiceOptions {
  readonly rows: number;
  readonly hidden: number;
  readonly sloMs: number;
}

/** The compiled part of the package that serves over HTTP. */
export function compiledHttp(): typeof http {
  const path = join(__dirname, '..', '..', 'dist', 'http', 'index.js');
  return createRequire(__filename)(path) as typeof http;
}

/** A service with its deployment. Users are numbers below {@link USERS}. */
export async function makeService(
  { rows, hidden, sloMs }: ServiceOptions,
  options: RecommenderOptions = {},
): Promise<Recommender> {
  const { EmbeddingStore, HnswIndex, Recommender: Compiled, storeStage } = compiled();
  const items = sharedMatrix(matrix(mixture(42, rows, DIM), DIM));
  const kept = { dim: DIM, metric: 'dot' } as const;
  const index = new HnswIndex({ ...kept, storage: 'i8', rerank: 'f16' });
  await index.add(items.data);
  const store = new EmbeddingStore({ ...kept, storage: 'f32' });
  store.append(items);
  const users = await histories(index, items, USERS, HISTORY);
  const tower = await createTower({ vectors: items.data, dim: DIM, hidden });
  const recommender = new Compiled({ slo: sloMs, ...options });
  const deployment: Deployment = {
    version: 'bench',
    index,
    encode: (queries) =>
      tower({
        rows: queries.length,
        history: historiesOf(
          users,
          queries.map(({ user }) => user as number),
        ),
      }),
    usualVector: items.data.slice(0, DIM),
    stages: [
      storeStage({ name: 'rescoring', store, candidates: 200, vector: ({ vector }) => vector }),
    ],
    samples: Array.from({ length: 512 }, (_, user) => ({ user })),
  };
  await recommender.deploy(deployment);
  return recommender;
}
