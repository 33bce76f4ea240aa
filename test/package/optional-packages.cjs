// Uses what needs an optional package, in an installation that has none of them: prints, by package, the code and the
// message of the error that comes of it.
const { writeFileSync } = require('node:fs');
const lichen = require('lichen');
const { createServer } = require('lichen/http');

const vectors = lichen.matrix(Float32Array.of(1, 0, 0, 1), 2);
const known = lichen.interactionsFromPairs(['u1', 'u1', 'u2'], ['i1', 'i2', 'i1']);
writeFileSync('vectors.parquet', 'PAR1');
writeFileSync('vectors.hdf5', Buffer.from('\u0089HDF\r\n\u001a\n', 'latin1'));

const report = {
  ...{ title: 'report', summary: [], facts: {}, axes: [], x: 'a', y: 'b', points: [], notes: [] },
};
const nats = () =>
  lichen.ClusterIndex.connect({
    servers: 'nats://127.0.0.1:1',
    name: 'items',
    connectTimeout: 100,
  });
const peer = (name) =>
  lichen.sweep({
    ...{ base: vectors, queries: vectors, metric: 'l2', candidates: [], peers: [name], efs: [10] },
    ...{ k: 1, folder: `sweep-${name}`, rounds: 1, secondsAPoint: 0.01 },
  });

const USES = {
  '@tensorflow/tfjs-core': () => lichen.TwoTowerModel.train(known, { dim: 4 }),
  '@tensorflow/tfjs-backend-cpu': () => lichen.loadTensorFlow('auto'),
  '@tensorflow/tfjs-backend-wasm': () => lichen.loadTensorFlow('auto'),
  '@tensorflow/tfjs-node-gpu': () => lichen.loadTensorFlow('auto'),
  '@tensorflow/tfjs': () => lichen.openLayersModel('model'),
  'onnxruntime-node': () => lichen.OnnxTower.open('model.onnx'),
  ioredis: () => lichen.openRedisTier({ url: 'redis://127.0.0.1:1' }),
  pg: () => lichen.openPostgresStore({ url: 'postgres://127.0.0.1:1/features' }),
  lmdb: () => lichen.openLmdbStore({ path: 'features' }),
  hyparquet: () => lichen.readMatrix('vectors.parquet'),
  h5wasm: () => lichen.readMatrix('vectors.hdf5'),
  'hnswlib-node': () => new lichen.HnswlibIndex({ dim: 2, metric: 'l2' }).add(vectors),
  usearch: () => peer('usearch'),
  uplot: () => lichen.writeReport('report.html', report),
  '@nats-io/transport-node': nats,
  '@nats-io/jetstream': nats,
  '@nats-io/kv': nats,
  '@nats-io/obj': nats,
  fastify: () => createServer({}),
  '@fastify/rate-limit': () => createServer({}),
  '@fastify/swagger': () => createServer({}),
  'prom-client': () => createServer({}),
};

async function main() {
  const errors = {};
  for (const [name, use] of Object.entries(USES)) {
    try {
      await use();
      errors[name] = { code: 'none', message: '' };
    } catch (error) {
      const { code = error.constructor.name, message } = error;
      errors[name] = { code, message, isOwn: error instanceof lichen.LichenError };
    }
  }
  process.stdout.write(JSON.stringify(errors));
}

void main();
