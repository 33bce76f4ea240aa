import { Pool } from 'undici';
import type { Deployment } from '../../src/index.js';
import { compiledHttp } from '../harness/service.js';
import type { Actor, World } from './actors.js';
import { DIM } from './stock.js';

const ITEMS = 500;
const USERS = 200;
const K = 5;
const ASKED = 4;

interface Answer {
  readonly items: readonly { readonly id: number; readonly score: number }[];
  readonly version: string;
}

/** A service over HTTP whose model is swapped for another while it answers. */
export async function serviceActors({ library, random, stock }: World): Promise<Actor[]> {
  const users = Array.from({ length: USERS }, () => stock.vector());
  let version = 0;
  const deployment = async (): Promise<Deployment> => {
    const index = new library.HnswIndex({ dim: DIM, metric: 'dot', storage: 'i8', rerank: 'f16' });
    await index.add(Array.from({ length: ITEMS }, () => stock.vector()));
    return {
      ...{ version: `v${++version}`, index, usualVector: users[0]! },
      encode: (asked) => asked.map(({ user }) => users[Number(user)]!),
    };
  };
  const recommender = new library.Recommender({ slo: 2000, k: K });
  await recommender.deploy(await deployment());
  const server = await compiledHttp().createServer({ recommender, port: 0, log: false });
  const pool = new Pool(server.url, { connections: ASKED });
  const ask = async (): Promise<void> => {
    const { statusCode, body } = await pool.request({
      ...{ method: 'POST', path: '/v1/recommend' },
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: random.below(USERS), k: K }),
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`service: status ${statusCode}: ${text}`);
    const answer = JSON.parse(text) as Answer;
    const isOdd = ({ id, score }: Answer['items'][number]): boolean =>
      !(id >= 0 && id < ITEMS && Number.isFinite(score));
    if (answer.items.length !== K || answer.items.some(isOdd)) {
      throw new Error(`service: ${text}`);
    }
  };
  return [
    {
      name: 'recommend over HTTP',
      everyMs: 0,
      async step() {
        await Promise.all(Array.from({ length: ASKED }, ask));
      },
      async close() {
        await pool.close();
        await server.close();
        await recommender.close();
      },
    },
    {
      name: 'swap of a model',
      everyMs: 2000,
      async step() {
        await recommender.deploy(await deployment());
      },
    },
  ];
}
