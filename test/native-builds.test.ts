import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { prepareAddon, type Addon } from '../src/native.js';
import { clustered } from './index/data.js';

const ROOT = join(__dirname, '..');
const BUILDS = {
  'binding.gyp': join(ROOT, 'build', 'Release', 'lichen.node'),
  'CMakeLists.txt': join(ROOT, 'native', 'build', 'addon', 'Release', 'lichen.node'),
};

function answers(path: string): unknown {
  const addon = prepareAddon(createRequire(__filename)(path) as Addon);
  const dim = 19;
  const index = addon.createHnsw(dim, 'cosine', 'f32', '', 0, 3, [], 8, 40);
  addon.indexAddSync(index, null, clustered(1, 900, dim), 1, addon.createProgress(), 0, null);
  const keys = new Float64Array(50);
  const scores = new Float32Array(50);
  addon.indexSearchSync(index, clustered(2, 1, dim), 50, 60, keys, scores);
  return { machine: addon.machine(), keys: [...keys], scores: [...scores] };
}

describe('the two native builds', () => {
  it.each(Object.entries(BUILDS).filter(([, path]) => existsSync(path)))(
    'need Node-API only, so one binary serves every Node version: %s',
    (_, path) => {
      const content = readFileSync(path, 'latin1');
      expect(content).toContain('napi_create_function');
      // Mangled names of V8 and Node, and libuv's.
      expect(content).not.toMatch(/_ZN2v8|_ZN4node|\buv_[a-z]+_/);
    },
  );

  const missing = Object.values(BUILDS).filter((path) => !existsSync(path));
  it.skipIf(missing.length > 0)(
    `load and give the same answers${missing.length > 0 ? " (skipped: 'npm run build:cmake' has not been run)" : ''}`,
    () => {
      expect(answers(BUILDS['CMakeLists.txt'])).toEqual(answers(BUILDS['binding.gyp']));
    },
  );
});
