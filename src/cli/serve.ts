import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { openRedisTier } from '../cache/redis-tier.js';
import { makeCatalogue } from '../catalogue/catalogue.js';
import { fileError, LichenArgumentError, LichenFileError } from '../errors.js';
import { loadHttpPackages } from '../http/packages.js';
import type { HttpTelemetry } from '../http/plugin.js';
import { createServer, type ServerOptions } from '../http/server.js';
import { HnswIndex } from '../index/hnsw.js';
import { openIndex } from '../index/open.js';
import type { Published } from '../index/published.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { readInteractions } from '../interactions/reader.js';
import type { Deployment } from '../serving/deployment.js';
import { followPublished } from '../serving/follow.js';
import { modelDeployment } from '../serving/model-deployment.js';
import { Recommender } from '../serving/recommender.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { importPackage } from '../vectors/packages.js';
import { importModule } from './modules.js';
import { builtInConfig, readServeConfig, type WhatIsServed } from './serve-config.js';
import { grouped, openTerminal, type Terminal } from './terminal.js';
import { examples, integer } from './usage.js';

interface ServeFlags {
  config?: string;
  port?: number;
  json?: boolean;
}

const VECTOR_BYTES = 64 * 2 ** 20;
const VECTOR_TTL_MS = 60_000;

/** `lichen serve` */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Serve recommendations and searches over HTTP, with metrics and a page.')
    .option('--config <file>', 'what is served, and how, as JSON (default: the built-in catalogue)')
    .option(
      '--port <n>',
      'instead of that of the configuration; 0: any that is free',
      integer(0, 65535),
    )
    .option('--json', 'print where it listens as JSON')
    .addHelpText(
      'after',
      '\nA configuration names an index (a snapshot, or a folder of lichen publish) and more:' +
        '\n  { "index": "items.lichen", "model": "model", "known": "train.csv", "slo": 50 }\n' +
        examples(
          'lichen serve                                     the built-in music service',
          'lichen serve --config serve.json --port 8080',
        ),
    )
    .action(serve);
}

async function serve(flags: ServeFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const config = flags.config === undefined ? builtInConfig() : await readServeConfig(flags.config);
  // Before anything is trained or opened.
  await loadHttpPackages();
  const openTelemetry = await telemetry();
  const { vectorCache } = config;
  const redis =
    vectorCache.redis === undefined ? undefined : await openRedisTier({ url: vectorCache.redis });
  await using recommender = new Recommender({
    ...config.recommender,
    vectorCache: {
      maxBytes: vectorCache.maxBytes ?? VECTOR_BYTES,
      ttlMs: vectorCache.ttlMs ?? VECTOR_TTL_MS,
      ...(redis && { shared: redis }),
    },
    ...(openTelemetry && { openTelemetry }),
  });
  const stop = await putInService(recommender, config.served, terminal);
  const server = await createServer({
    ...config.server,
    log: logOf(config.server.log),
    ...(flags.port !== undefined && { port: flags.port }),
    recommender,
    allowsWrites: config.served.durability !== undefined,
    ...(openTelemetry && { openTelemetry }),
  });
  terminal.say(`lichen serves ${recommender.version} at ${server.url}`);
  terminal.result({ url: server.url, version: recommender.version });
  await stopped(terminal.signal);
  await stop();
  await server.close();
  await recommender.close();
  await redis?.close();
}

/** Logs go to stderr: stdout has what was asked for. */
function logOf(log: ServerOptions['log'] = 'info'): ServerOptions['log'] {
  if (log === false) return false;
  const options = typeof log === 'string' ? { level: log } : log;
  return { ...options, stream: process.stderr } as ServerOptions['log'];
}

/** Waits for Ctrl-C, or for the process to be told to end. */
async function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** OpenTelemetry, where whoever started the process has installed it. */
async function telemetry(): Promise<HttpTelemetry | undefined> {
  try {
    return (await importPackage('@opentelemetry/api')) as HttpTelemetry;
  } catch {
    return undefined;
  }
}

/** Puts what is configured in service; what it gives ends that. */
async function putInService(
  recommender: Recommender,
  served: WhatIsServed,
  terminal: Terminal,
): Promise<() => Promise<void>> {
  const { index, durability } = served;
  if (index === undefined) {
    await recommender.deploy(await builtIn(terminal));
    return async () => {};
  }
  const info = await stat(index).catch((error: unknown) => {
    throw fileError('open', index, error);
  });
  if (!info.isDirectory()) {
    const opened = await openIndex<Key>(index, { durability });
    await recommender.deploy(await deploymentOf(served, opened, undefined));
    return async () => {};
  }
  if (durability !== undefined) {
    const message = 'durability is of a snapshot file: versions that are published are not changed';
    throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
  }
  const following = await followPublished<Key>(recommender, index, {
    deployment: (opened, published) => deploymentOf(served, opened, published),
    onDeployed: ({ version }) => terminal.say(`version ${version} is in service`),
    onError: (error) => process.stderr.write(`lichen: ${String(error)}\n`),
  });
  return () => following.close();
}

async function deploymentOf(
  { model, known, deployment, search }: WhatIsServed,
  index: VectorIndex<Key>,
  published: Published | undefined,
): Promise<Deployment<Key>> {
  if (deployment !== undefined) return moduleDeployment(deployment, index, published);
  const version = index.label.modelVersion;
  if (model === undefined) {
    return {
      version: version ?? 'unversioned',
      ...{ index, ...(search && { search }) },
      encode: () => {
        throw new LichenArgumentError(
          'ERR_LICHEN_UNSUPPORTED',
          'this service has an index and no model: it searches, and recommends nothing',
        );
      },
    };
  }
  if (model.includes('{version}') && version === undefined) {
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      'no model version is written on the index: lichen publish --model-version',
    );
  }
  const opened = await TwoTowerModel.open(model.replaceAll('{version}', version ?? ''));
  const { users, items } = opened;
  return modelDeployment<Key>({
    model: opened,
    index,
    ...(search && { search }),
    ...(known !== undefined && { known: await readInteractions(known, { users, items }) }),
  });
}

/** @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_FORMAT for a module that gives none. */
async function moduleDeployment(
  path: string,
  index: VectorIndex<Key>,
  published: Published | undefined,
): Promise<Deployment<Key>> {
  const loaded = await importModule(path);
  const make = (loaded.default as { default?: unknown } | undefined)?.default ?? loaded.default;
  if (typeof make !== 'function') {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${path} must export a function as default`);
  }
  return (await (make as (given: object) => unknown)({ index, published })) as Deployment<Key>;
}

/** The built-in music service, with a model trained for it now. */
async function builtIn(terminal: Terminal): Promise<Deployment> {
  const { tracks, train } = makeCatalogue();
  terminal.say(`training towers on ${grouped(train.itemIndices.length)} plays of the catalogue …`);
  const model = await terminal.withProgress('training', (onProgress) =>
    TwoTowerModel.train(train, {
      ...{ userTower: 'id', dim: 32 },
      signal: terminal.signal,
      onProgress: ({ step, steps }) => onProgress(step, steps),
    }),
  );
  const { items } = model;
  const index = new HnswIndex({
    ...{ dim: model.dim, metric: 'dot' as const },
    attributes: { title: 'category', artist: 'category', genre: 'category' },
  });
  const known = Array.from({ length: items.size }, (_, row) => tracks[Number(items.idAt(row))]!);
  await index.add(model.itemVectors, {
    attributes: {
      title: known.map(({ title }) => title),
      artist: known.map(({ artist }) => artist),
      genre: known.map(({ genre }) => genre),
    },
  });
  return modelDeployment({ model, index, known: train, version: 'catalogue' });
}
