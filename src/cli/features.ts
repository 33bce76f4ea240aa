import { Command } from 'commander';
import { LichenArgumentError, LichenFileError, shown } from '../errors.js';
import type { BatchView, FeatureService, FeatureView } from '../features/definitions.js';
import { FEATURE_STATUS, rowOf } from '../features/frame.js';
import type { ColumnsOf, Schema } from '../features/feature-types.js';
import { materialize } from '../features/materialize.js';
import { OnlineFeatures } from '../features/online.js';
import { openFeatureStore } from '../features/open-store.js';
import type { OnlineStore } from '../features/store.js';
import { storeStatistics } from '../features/store-report.js';
import { importModule } from './modules.js';
import { grouped, keepsWhenInterrupted, openTerminal, table, type Terminal } from './terminal.js';
import { examples, json } from './usage.js';

interface Flags {
  definitions: string;
  store: string;
  json?: boolean;
}

/** What a module of definitions exports, under whatever names. */
interface Definitions {
  readonly views: readonly FeatureView[];
  readonly services: readonly FeatureService[];
}

/** `lichen features` */
export function featuresCommand(): Command {
  const command = new Command('features').description(
    'Load features into a store, get them from it, tell what it has.',
  );
  command.addHelpText(
    'after',
    examples(
      'lichen features materialize --definitions views.js --store lmdb:features',
      'lichen features get --definitions views.js --store lmdb:features \\',
      '                    --keys \'{"track":[1,2]}\'',
      'lichen features stats --definitions views.js --store redis://localhost:6379',
    ),
  );
  for (const sub of [materializeCommand(), getCommand(), statsCommand()]) command.addCommand(sub);
  return command;
}

function withStore(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .requiredOption('--definitions <module>', 'a JavaScript module that exports views and services')
    .requiredOption('--store <address>', 'lmdb:FOLDER, redis://… or postgres://…')
    .option('--json', 'print the result as JSON');
}

function materializeCommand(): Command {
  return withStore('materialize', 'Load batch views from their sources; goes on where it stopped.')
    .option('--view <name>', 'only this view (default: all that have a source)')
    .option('--skip-invalid', 'leave rows out that are not of the types of a view')
    .option('--fresh', 'read the sources from the beginning')
    .action((flags: Flags & { view?: string; skipInvalid?: boolean; fresh?: boolean }) =>
      perform(flags, async (terminal, definitions, store) => {
        keepsWhenInterrupted(
          'the store has what is loaded, and the same command goes on from there',
        );
        const views = batchViews(definitions, flags.view);
        const reports = [];
        for (const view of views) {
          const report = await terminal.withProgress(view.name, (onProgress) =>
            materialize(view, store, {
              onProgress,
              signal: terminal.signal,
              skipInvalid: flags.skipInvalid === true,
              isFresh: flags.fresh === true,
            }),
          );
          reports.push(report);
          const { rows, resumedAt, written, invalid, pruned, seconds, problems } = report;
          terminal.say(
            `${view.name}: ${grouped(rows)} rows after ${grouped(resumedAt)}, ${grouped(written)} written, ` +
              `${grouped(invalid)} invalid, ${grouped(pruned)} removed, ${seconds.toFixed(1)} s`,
          );
          for (const problem of problems) terminal.say(`  ${problem}`);
        }
        terminal.result({ views: reports });
      }),
    );
}

function getCommand(): Command {
  return withStore('get', 'Get the features of a service for some keys.')
    .option('--service <name>', 'needed if there are several')
    .requiredOption(
      '--keys <object>',
      'keys by entity, JSON: {"user":["u1"],"track":[1,2]}',
      json<object>,
    )
    .option('--request <object>', 'what on-demand views want to know, JSON', json<object>)
    .action((flags: Flags & { service?: string; keys: object; request?: object }) =>
      perform(flags, async (terminal, { services }, store) => {
        const service = named('service', services, flags.service);
        const online = new OnlineFeatures(service, { store, timeoutMs: 10_000, isStrict: true });
        const { request } = flags;
        const frame = await online.get(
          flags.keys as Record<string, never[]>,
          request === undefined ? {} : { request: request },
        );
        const statuses = Object.keys(FEATURE_STATUS);
        const rows = Array.from({ length: frame.rows }, (_, row) =>
          Object.fromEntries(
            service.views.map((view) => {
              const columns = frame.columns[view.name] as ColumnsOf<Schema>;
              const time = frame.times[view.name]![row]!;
              return [
                view.name,
                {
                  status: statuses[frame.status[view.name]![row]!],
                  time: Number.isNaN(time) ? null : new Date(time).toISOString(),
                  features: plain(rowOf(view.features, columns, row)),
                },
              ];
            }),
          ),
        );
        rows.forEach((row, at) => {
          terminal.say(`row ${at}`);
          for (const [name, { status, time, features }] of Object.entries(row)) {
            terminal.say(`  ${name}: ${status}${time === null ? '' : ` since ${time}`}`);
            terminal.say(`    ${JSON.stringify(features)}`);
          }
        });
        terminal.result({ service: service.name, signature: service.signature, rows });
      }),
    );
}

function statsCommand(): Command {
  return withStore('stats', 'Tell what a store has of each view, and how old it is.').action(
    (flags: Flags) =>
      perform(flags, async (terminal, { views }, store) => {
        const reports = await storeStatistics(views, store);
        terminal.say(
          table([
            ['view', 'tier', 'entries', 'bytes', 'median age', 'oldest', 'expired', 'written'],
            ...reports.map(({ view, tier, entries, bytes, ageMs, expired, writtenAt }) => [
              view,
              tier,
              grouped(entries),
              grouped(bytes),
              ageMs === null ? '' : duration(ageMs.median),
              ageMs === null ? '' : duration(ageMs.most),
              grouped(expired),
              writtenAt === null ? 'never' : new Date(writtenAt).toISOString(),
            ]),
          ]),
        );
        terminal.result({ views: reports });
      }),
  );
}

async function perform(
  flags: Flags,
  work: (terminal: Terminal, definitions: Definitions, store: OnlineStore) => Promise<void>,
): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const definitions = await readDefinitions(flags.definitions);
  const store = await openFeatureStore(flags.store);
  try {
    await ready(store);
    await work(terminal, definitions, store);
  } finally {
    await store.close();
  }
}

const CONNECTING_MS = 5000;

/** A server is connected to in the background: its first answer is waited for. */
async function ready(store: OnlineStore): Promise<void> {
  const end = performance.now() + CONNECTING_MS;
  for (;;) {
    try {
      await store.checkpoint('#');
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

async function readDefinitions(path: string): Promise<Definitions> {
  const exported = await importModule(path);
  const all = new Set(Object.values(exported).flatMap(parts));
  const views = [...all].filter((part): part is FeatureView => 'tier' in part);
  const services = [...all].filter((part): part is FeatureService => 'signature' in part);
  for (const service of services) {
    for (const view of service.views) if (!views.includes(view)) views.push(view);
  }
  if (views.length > 0) return { views, services };
  throw new LichenFileError('ERR_LICHEN_EMPTY', `${path} exports no views and no services`);
}

/** A view or a service itself, those in a list, those that a CommonJS module exports as a whole. */
function parts(value: unknown): object[] {
  if (value === null || typeof value !== 'object') return [];
  if ('tier' in value || 'signature' in value) return [value];
  return Object.values(value).filter(
    (part): part is object =>
      part !== null && typeof part === 'object' && ('tier' in part || 'signature' in part),
  );
}

function batchViews({ views }: Definitions, name: string | undefined): BatchView[] {
  const batch = views.filter((view): view is BatchView => view.tier === 'batch');
  if (name !== undefined) return [named('batch view', batch, name)];
  const sourced = batch.filter(({ source }) => source !== undefined);
  if (sourced.length > 0) return sourced;
  throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', 'no batch view has a source');
}

function named<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  name: string | undefined,
): T {
  const [only, second] = all;
  if (name === undefined && only !== undefined && second === undefined) return only;
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name).join(', ') || 'none';
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    name === undefined
      ? `there are several: name a ${what}, one of ${names}`
      : `there is no ${what} ${shown(name)}, but ${names}`,
  );
}

function plain(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value,
    ]),
  );
}

const UNITS: readonly [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

function duration(ms: number): string {
  for (const [unit, length] of UNITS) {
    if (Math.abs(ms) >= length) return `${(ms / length).toFixed(1)} ${unit}`;
  }
  return `${ms.toFixed(0)} ms`;
}
