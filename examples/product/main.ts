// A shop: filters, stock and prices that change by the second, products that nobody has bought yet.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import {
  holdOutLast,
  HnswIndex,
  itemsOf,
  latencySummary,
  matrixRow,
  Random,
  readInteractions,
  TwoTowerModel,
  type DesignRequest,
  type Interactions,
  type Where,
} from 'lichen';
import {
  chooseDesign,
  exampleOptions,
  heading,
  interactionsOf,
  requestOf,
  say,
  splitUsers,
  type ExampleOptions,
} from '../common.js';

const K = 10;
const CHANGES_A_SECOND = 1000;

interface Shop {
  readonly known: Interactions;
  readonly later: Interactions;
  /** Of each product, by row. */
  readonly categories: readonly string[];
}

async function main(): Promise<void> {
  const options = exampleOptions('product', 's3rec-beauty');
  const { isSmall, seed, report } = options;
  const { known, later, categories } = await shop(options);
  const random = new Random(seed);
  const count = known.items.size;
  const prices = Float64Array.from({ length: count }, () => Math.exp(2.5 + random.gaussian()));
  const stock = Array.from({ length: count }, () => (random.uniform() < 0.85 ? 'in' : 'out'));
  say(
    `${known.users.size} customers, ${count} products in ${new Set(categories).size} categories, 85% in stock.`,
  );

  const model = await TwoTowerModel.train(
    known,
    { userTower: 'history', dim: 64, prefixes: [32], seed, epochs: isSmall ? 2 : 6 },
    { itemFeatures: { category: { type: 'categorical', values: [...categories] } } },
  );
  const { itemVectors, userVectors, metric } = model;
  const schema = { category: 'category', price: 'number', stock: 'category' } as const;
  using index = new HnswIndex({
    dim: 64,
    metric,
    storage: 'i8',
    rerank: 'f16',
    attributes: schema,
  });
  const keys = Float64Array.from({ length: count }, (_, row) => row);
  await index.add(itemVectors, {
    keys,
    attributes: { category: [...categories], price: prices, stock },
  });

  heading('A product that nobody has bought yet');
  const newcomer = model.encodeNewItems([{ category: categories[0]! }]);
  const started = performance.now();
  const added = { category: [categories[0]!], price: Float64Array.of(9.5), stock: ['in'] };
  await index.upsert(newcomer, { keys: [count], attributes: added });
  const found = index.searchSync(newcomer, { k: K, where: { stock: 'in' } });
  say(
    `Its vector comes from its category; ${(performance.now() - started).toFixed(1)} ms later a search finds it: ${found.keys.includes(count) ? 'yes' : 'among the next ones'}.`,
  );
  await index.remove([count]);

  heading(`${CHANGES_A_SECOND} changes of stock and price a second, while searches go on`);
  const seconds = isSmall ? 0.5 : 3;
  const where: Where = { stock: 'in', price: { lt: 20 } };
  const alone = await searching(index, userVectors.rows, seconds, () => undefined);
  let changes = 0;
  let wrong = 0;
  const beside = await searching(index, userVectors.rows, seconds, (elapsed, result) => {
    // What the last search gave must be as the shop is now: every change is seen by the next search.
    for (const key of result) if (stock[key] !== 'in' || !(prices[key]! < 20)) wrong++;
    for (; changes < elapsed * CHANGES_A_SECOND; changes++) {
      const row = random.below(count);
      stock[row] = stock[row] === 'in' ? 'out' : 'in';
      prices[row] = prices[row]! * (0.9 + 0.2 * random.uniform());
      index.setAttributes([row], { stock: [stock[row]], price: Float64Array.of(prices[row]) });
    }
  });
  say(`searches alone: p50 ${alone.p50us.toFixed(0)} µs, p99 ${alone.p99us.toFixed(0)} µs`);
  say(
    `beside ${changes} changes: p50 ${beside.p50us.toFixed(0)} µs, p99 ${beside.p99us.toFixed(0)} µs; results that broke the condition: ${wrong}`,
  );

  /** One search after another with the condition, told to `between`. */
  async function searching(
    shopIndex: HnswIndex,
    users: number,
    length: number,
    between: (elapsed: number, result: Float64Array) => void,
  ) {
    const micros: number[] = [];
    const begun = performance.now();
    for (let at = 0; performance.now() - begun < length * 1000; at++) {
      const vector = matrixRow(userVectors, at % users);
      const before = performance.now();
      const { keys: result } = shopIndex.searchSync(vector, { k: K, where });
      micros.push((performance.now() - before) * 1000);
      between((performance.now() - begun) / 1000, result);
      if (at % 500 === 0) await setTimeout(0);
    }
    return latencySummary(micros);
  }

  const [requests, reportRequests] = splitUsers(later, isSmall ? [150, 100] : [2000, 2000], seed);
  // Half of the customers have chosen a category or a price.
  const base = requestOf(known, later);
  const request = (user: number): DesignRequest => {
    const [wanted] = itemsOf(later, user);
    const kind = user % 4;
    const condition: Where =
      kind === 0
        ? { stock: 'in', category: categories[wanted!]! }
        : kind === 1
          ? { stock: 'in', price: { lt: 40 } }
          : { stock: 'in' };
    return { ...base(user), where: condition };
  };
  await chooseDesign(
    'Products: a design for 3,000 filtered requests a second within 30 ms',
    { customers: known.users.size, products: count },
    {
      ...{ items: itemVectors, users: userVectors, metric, k: K, seed },
      requests: requests!.map(request),
      reportRequests: reportRequests!.map(request),
      attributes: { schema, values: { category: [...categories], price: prices, stock } },
      demand: { qps: 3000, sloMs: 30, availability: 0.9995 },
      space: { dims: [32, 64], storages: ['f32', 'i8+f16', 'i4+i8'], efs: [16, 32, 64, 128] },
      ...(isSmall && { maxDesigns: 40, firstRung: 16 }),
    },
    report,
  );
}

async function shop(options: ExampleOptions): Promise<Shop> {
  const { data } = options;
  if (data === undefined) {
    const { known, later, tracks } = await interactionsOf(options, ['', '']);
    // Ids of the catalogue are positions, in the order in which they were first met.
    const categories = Array.from(
      { length: known.items.size },
      (_, row) => tracks![Number(known.items.idAt(row))]!.genre,
    );
    return { known, later, categories };
  }
  const all = await readInteractions(join(data, 'sequences.txt.gz'));
  const { train, test } = holdOutLast(all);
  const file = gunzipSync(readFileSync(join(data, 'item2attributes.json.gz')));
  const attributes = JSON.parse(file.toString('utf8')) as Record<string, number[]>;
  const categories = Array.from(
    { length: train.items.size },
    (_, row) => `c${attributes[String(train.items.idAt(row))]?.[0] ?? 0}`,
  );
  return { known: train, later: test, categories };
}

void main();
