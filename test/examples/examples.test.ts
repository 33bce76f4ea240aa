import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const ROOT = join(__dirname, '..', '..');
const run = promisify(execFile);

describe('case studies', () => {
  const at = temporaryFolder();

  it.each(['music', 'product', 'video'])('%s runs to its report on made data', async (name) => {
    const report = at(`${name}.html`);
    const args = [join('scripts', 'example.mjs'), name, '--small', '--made', '--report', report];
    const { stdout } = await run(process.execPath, args, { cwd: ROOT });
    expect(stdout).toContain('Data made from seed 42');
    expect(stdout).toMatch(/The best by nDCG@\d+ alone is/);
    expect(stdout).toMatch(
      /The cheapest that keeps at least 99% of the best within all constraints is/,
    );
    const page = readFileSync(report, 'utf8');
    expect(page).toContain('"isChosen":true');
  });

  it('stand on nothing but what the package exports', () => {
    const files = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' });
    const sources = files.filter((file) => file.endsWith('.ts'));
    expect(sources.length).toBeGreaterThanOrEqual(4);
    for (const file of sources) {
      const text = readFileSync(join(ROOT, 'examples', file), 'utf8');
      const from = [...text.matchAll(/from '([^']+)'/g)].map(([, name]) => name!);
      const others = from.filter(
        (name) => !/^node:/.test(name) && name !== 'lichen' && name !== '../common.js',
      );
      expect([file, others]).toEqual([file, []]);
    }
  });

  it('are named when none is asked for', async () => {
    const asked = run(process.execPath, [join('scripts', 'example.mjs'), 'books'], { cwd: ROOT });
    await expect(asked).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/music, product, video/) as string,
    });
  });
});
