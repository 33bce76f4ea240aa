import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { ENTRY_FILES, exportsOf, openProgram } from './public-api.mjs';

const FOLDER = 'build/examples';

/** What examples may use without saying where it comes from. */
const AT_HAND = `
import type * as tfjs from '@tensorflow/tfjs';
import type { FastifyInstance } from 'fastify';
import * as lichen from 'lichen';

declare global {
  interface User {
    readonly id: string;
    readonly vector: Float32Array;
  }
  const user: User;
  const apiKey: string;

  const query: Float32Array;
  const queries: lichen.Matrix;
  const vectors: lichen.Matrix;
  const index: lichen.HnswIndex;
  const stock: ReadonlySet<number>;

  const interactions: lichen.Interactions;
  const test: lichen.Interactions;
  const ranked: Uint32Array;
  const model: lichen.TwoTowerModel;
  const itemVectors: lichen.Matrix;
  const features: Float32Array;
  /** Of a bag tower: where each user's items begin, and the items. */
  const offsets: Uint32Array;
  const rows: Uint32Array;

  const tf: lichen.TensorFlow;
  const layers: tfjs.LayersModel;
  function featuresOf(keys: ArrayLike<number>): number[];

  const tower: { encode(users: readonly User[]): Promise<Float32Array[]> };
  const ranker: { score(user: User, keys: ArrayLike<number>): Promise<Float32Array> };
  function loadVectors(ids: readonly string[]): Promise<Float32Array[]>;
  const retrieval: lichen.Retrieval<User, number>;
  const stages: lichen.Stage<User, number>[];
  const recommender: lichen.Recommender;
  const app: FastifyInstance;

  const track: lichen.Entity<'track', 'integer'>;
  const profile: ReturnType<typeof makeProfile>;
  const recent: ReturnType<typeof makeRecent>;
  const service: ReturnType<typeof makeService>;
  const store: lichen.OnlineStore;

  const measuredUs: Float64Array;
  const ndcgOfThis: Float64Array;
  const ndcgOfThat: Float64Array;
  const trace: lichen.Trace;
  const sweepOptions: lichen.SweepOptions;
  const codesignOptions: lichen.CodesignOptions;
  const reportContext: lichen.CodesignReportContext;

  const readFile: typeof import('node:fs/promises').readFile;
  const Worker: typeof import('node:worker_threads').Worker;
  const workerData: unknown;
}

// The types of views are those of their definitions.
const { aggregate, batchView, feature, featureService, streamView } = lichen;
function makeProfile() {
  return batchView({
    ...{ name: 'profile', entity: track, ttlMs: 1 },
    features: { year: feature.i32(), vector: feature.vector(64) },
  });
}
function makeRecent() {
  return streamView({
    ...{ name: 'recent', entity: track, ttlMs: 1, event: { seconds: feature.f32() } },
    features: { plays: aggregate.count(1), seconds: aggregate.sum('seconds', 1) },
  });
}
function makeService() {
  return featureService({ name: 'service', version: 1, views: [profile, recent] });
}
`;

/** Every example, with the name that it is of. */
function examplesOf(program) {
  const found = [];
  const seen = new Set();
  for (const file of program.getSourceFiles()) {
    if (!file.fileName.includes('/dist/') && !file.fileName.startsWith('dist/')) continue;
    const visit = (node) => {
      for (const tag of ts.getJSDocTags(node)) {
        if (tag.tagName.text !== 'example' || seen.has(tag.pos + file.fileName)) continue;
        seen.add(tag.pos + file.fileName);
        const text = ts.getTextOfJSDocComment(tag.comment) ?? '';
        const name = node.name?.getText(file) ?? node.declarationList?.declarations[0].name.text;
        found.push({ name, code: text.replace(/^\`\`\`\w*\n|\n\`\`\`$/g, '') });
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return found;
}

/** Which names an entry point exports that a text has. */
function importsFor(code, entries) {
  const words = new Set(code.match(/[A-Za-z_$][\w$]*/g));
  const declared = new Set(
    [...code.matchAll(/(?:const|let|function|class) (\w+)/g)].map(([, name]) => name),
  );
  const taken = new Set();
  const lines = entries.map(({ entry, names }) => {
    const wanted = names.filter(
      (name) => words.has(name) && !declared.has(name) && !taken.has(name),
    );
    for (const name of wanted) taken.add(name);
    return wanted.length === 0 ? '' : `import { ${wanted.join(', ')} } from '${entry}';\n`;
  });
  return lines.join('');
}

/**
 * Compiles every @example of the compiled types as a program that has the package installed: with its names imported, and the
 * variables above at hand. Says how many there are, and what is wrong with them.
 */
export function faultsOfExamples(types) {
  const entries = ENTRY_FILES.map(({ name, file }) => ({
    ...{ entry: name, names: exportsOf(types, file).map((one) => one.name) },
  }));
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const put = (name, text) => {
    const path = join(FOLDER, name);
    writeFileSync(path, text);
    return path;
  };
  const examples = examplesOf(types).map(({ name, code }, at) =>
    put(`${name}-${at}.mts`, `${importsFor(code, entries)}export {};\n${code}\n`),
  );
  const program = openProgram([put('at-hand.mts', AT_HAND), ...examples]);
  const faults = ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
    ...{ getCanonicalFileName: (path) => path, getNewLine: () => '\n' },
    getCurrentDirectory: () => process.cwd(),
  });
  return { examples: examples.length, faults };
}
