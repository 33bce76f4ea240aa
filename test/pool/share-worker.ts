// A thread that does with a shared index what it is told: { share } to attach, then names of what to do.

import { parentPort, workerData } from 'node:worker_threads';
import type { HnswIndex } from '../../src/index/hnsw.js';
import { FlatIndex } from '../../src/index/flat.js';
import { attachIndex } from '../../src/index/open.js';
import type { ShareToken } from '../../src/index/share.js';

export type Order =
  | { do: 'attach'; share: ShareToken }
  | { do: 'make'; rows: number; dim: number }
  | { do: 'search'; query: Float32Array; k: number }
  | { do: 'searchForEver'; query: Float32Array }
  | { do: 'add'; vectors: Float32Array; keys?: string[] }
  | { do: 'remove'; key: number }
  | { do: 'forget' | 'close' | 'exit' | 'size' };

const flag = workerData as Int32Array;
let index: FlatIndex | HnswIndex | undefined;

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'attach':
      index = attachIndex(order.share);
      return index.constructor.name;
    case 'make': {
      index = new FlatIndex({ dim: order.dim, metric: 'l2' });
      index.addSync(Float32Array.from({ length: order.rows * order.dim }, (_, at) => at));
      return { token: index.share().token };
    }
    case 'search': {
      const { keys, scores } = index!.searchBatchSync(order.query, { k: order.k });
      return { keys, scores };
    }
    case 'searchForEver':
      Atomics.store(flag, 0, 1);
      for (;;) index!.searchBatchSync(order.query, { k: 1 });
    case 'add':
      await index!.add(order.vectors, { keys: order.keys as never });
      return index!.size;
    case 'remove':
      index!.removeSync([order.key]);
      return index!.size;
    case 'size':
      return index!.size;
    case 'forget':
      index = undefined;
      return undefined;
    case 'close':
      index!.close();
      return undefined;
    case 'exit':
      return process.exit(0);
  }
}

parentPort!.on('message', (order: Order) => {
  obey(order).then(
    (done) => parentPort!.postMessage({ done }),
    (error: { code?: string; message: string }) =>
      parentPort!.postMessage({ error: { code: error.code, message: error.message } }),
  );
});
