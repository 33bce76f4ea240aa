import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { ByteCacheStatistics } from '../../src/cache/byte-cache.js';

const CHILD = join(__dirname, 'memory-child.ts');

async function measure(kind: string): Promise<{ stats: ByteCacheStatistics; grown: number }> {
  const args = ['--expose-gc', '--import', 'tsx', CHILD, '128', kind];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(child.exitCode).toBe(0);
  return JSON.parse(output) as Awaited<ReturnType<typeof measure>>;
}

describe('the memory of a ByteCache', () => {
  it.each(['numbers', 'texts'])(
    'is what it says, and within its limit (keys: %s)',
    async (kind) => {
      const { stats, grown } = await measure(kind);
      expect(stats.evictions + stats.rejections).toBeGreaterThan(stats.entries / 2);
      expect(stats.bytes).toBeLessThanOrEqual(128e6 * 1.05);
      expect(stats.bytes).toBeGreaterThan(128e6 * 0.8);
      expect(grown / stats.bytes, 'heap and array buffers').toBeGreaterThan(0.9);
      expect(grown / stats.bytes, 'heap and array buffers').toBeLessThan(1.1);
    },
  );
});
