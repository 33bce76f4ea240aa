import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const CHILD = join(__dirname, 'open-child.ts');
const RIVALS = 3;
const at = temporaryFolder();

/** A process that does what it is told, one thing after another. */
class Rival {
  readonly #child;
  readonly #lines;

  constructor(path: string) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', CHILD, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async said(): Promise<string> {
    const line = await this.#lines.next();
    return line.value as string;
  }

  tell(what: 'open' | 'add'): Promise<string> {
    this.#child.stdin.write(`${what}\n`);
    return this.said();
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

async function started(path: string): Promise<Rival> {
  const rival = new Rival(path);
  expect(await rival.said()).toBe('ready');
  return rival;
}

describe('processes that open one index at once', () => {
  it('get it one at a time, with all that the one before was acknowledged', async () => {
    const path = at('shared.lichen');
    const made = new HnswIndex({ dim: 8, metric: 'l2', m: 4 });
    await made.save(path);
    made.close();
    const rivals = await Promise.all(Array.from({ length: RIVALS }, () => started(path)));
    for (let size = 0; size < 4; size++) {
      const answers = await Promise.all(rivals.map((rival) => rival.tell('open')));
      expect([...answers].sort()).toEqual([
        ...Array.from({ length: RIVALS - 1 }, () => 'ERR_LICHEN_LOCKED'),
        `open ${size}`,
      ]);
      // Readers are in nobody's way.
      using reader = await openIndex(path, { map: true });
      expect(reader.size).toBe(0);
      const winner = answers.findIndex((answer) => answer.startsWith('open'));
      expect(await rivals[winner]!.tell('add')).toBe('done');
      await rivals[winner]!.kill();
      rivals[winner] = await started(path);
    }
    await Promise.all(rivals.map((rival) => rival.kill()));
  }, 60_000);
});
