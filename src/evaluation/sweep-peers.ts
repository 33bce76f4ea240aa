import { stat } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { throwIfAborted } from '../errors.js';
import { importPackage, requirePackage } from '../vectors/packages.js';
import { rowsOf, type SweepSide, type SweepTask } from './sweep-sides.js';

/** Libraries that a sweep can include. */
export const SWEEP_PEERS = ['hnswlib', 'usearch'] as const;
/** A library that a sweep can include. */
export type SweepPeer = (typeof SWEEP_PEERS)[number];

/** How hnswlib calls the metrics. */
export const HNSWLIB_SPACES = { dot: 'ip', cosine: 'cosine', l2: 'l2' } as const;
/** How usearch does. */
export const USEARCH_METRICS = { dot: 'ip', cosine: 'cos', l2: 'l2sq' } as const;

interface Hnswlib {
  readonly HierarchicalNSW: new (space: string, dim: number) => HnswlibIndex;
}
interface HnswlibIndex {
  initIndex(most: number, m: number, efConstruction: number): void;
  addPoint(point: number[], label: number): void;
  writeIndexSync(file: string): void;
  readIndexSync(file: string): void;
  setEf(ef: number): void;
  searchKnn(query: number[], k: number): { readonly neighbors: number[] };
}
interface Usearch {
  readonly Index: new (options: Record<string, unknown>) => UsearchIndex;
}
interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  save(file: string): void;
  load(file: string): void;
  search(query: Float32Array, k: number, threads: number): { readonly keys: BigUint64Array };
}

/** A peer's graph with the links and the beam of lichen's. @throws ERR_LICHEN_MISSING_PACKAGE */
export async function peerSide(
  peer: SweepPeer,
  task: SweepTask,
  graph: { readonly m: number; readonly efConstruction: number },
): Promise<SweepSide> {
  return peer === 'hnswlib'
    ? hnswlibSide(await requirePackage<Hnswlib>(importPackage, 'hnswlib-node', 3), task, graph)
    : usearchSide(await requirePackage<Usearch>(importPackage, 'usearch', 2), task, graph);
}

type Graph = Parameters<typeof peerSide>[2];

/** hnswlib takes plain arrays only: they are made ahead and do not count. It builds on one thread. */
function hnswlibSide(
  { HierarchicalNSW }: Hnswlib,
  { base, queries, metric, k }: SweepTask,
  { m, efConstruction }: Graph,
): SweepSide {
  const make = () => new HierarchicalNSW(HNSWLIB_SPACES[metric], base.dim);
  return {
    name: `hnswlib m${m} efc${efConstruction}`,
    ...{ library: 'hnswlib', parameters: { m, efConstruction }, hasBeam: true, rescores: false },
    async build(file, { signal, onProgress }) {
      const index = make();
      index.initIndex(base.rows, m, efConstruction);
      let seconds = 0;
      for (const [row, vector] of rowsOf(base).entries()) {
        const point = [...vector];
        const started = performance.now();
        index.addPoint(point, row);
        seconds += (performance.now() - started) / 1000;
        if (row % 1000 === 0) {
          throwIfAborted(signal, 'building');
          onProgress?.(row, base.rows);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      index.writeIndexSync(file);
      return { seconds, threads: 1, bytes: (await stat(file)).size };
    },
    open(file) {
      const index = make();
      index.readIndexSync(file);
      const points = rowsOf(queries).map((row) => [...row]);
      return Promise.resolve({
        aim: (ef) => index.setEf(ef ?? k),
        search: (query) => index.searchKnn(points[query]!, k).neighbors,
        close: () => undefined,
      });
    },
  };
}

function usearchSide(
  { Index }: Usearch,
  { base, queries, metric, k }: SweepTask,
  { m, efConstruction }: Graph,
): SweepSide {
  const make = (ef: number) =>
    new Index({
      ...{ dimensions: base.dim, metric: USEARCH_METRICS[metric], quantization: 'f32' },
      ...{ connectivity: m, expansion_add: efConstruction, expansion_search: ef, multi: false },
    });
  return {
    name: `usearch m${m} efc${efConstruction}`,
    ...{ library: 'usearch', parameters: { m, efConstruction }, hasBeam: true, rescores: false },
    async build(file, { threads }) {
      const index = make(k);
      const keys = BigUint64Array.from({ length: base.rows }, (_, row) => BigInt(row));
      const started = performance.now();
      index.add(keys, base.data, threads);
      const seconds = (performance.now() - started) / 1000;
      index.save(file);
      return { seconds, threads, bytes: (await stat(file)).size };
    },
    open(file) {
      const vectors = rowsOf(queries);
      let index: UsearchIndex | undefined;
      return Promise.resolve({
        // The beam of an index is fixed when it is made.
        aim(ef) {
          index = make(ef ?? k);
          collectGarbage();
          index.load(file);
        },
        search: (query) => index!.search(vectors[query]!, k, 1).keys,
        close() {
          index = undefined;
          collectGarbage();
        },
      });
    },
  };
}

/** Frees the memory of indexes of usearch, which goes with their JavaScript objects only. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
