import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT, run } from './tarball.js';

describe('npm run release', () => {
  let closedChangelog: (text: string, version: string, day: string) => string;

  beforeAll(async () => {
    const file = pathToFileURL(join(ROOT, 'scripts', 'release', 'changelog.mjs')).href;
    ({ closedChangelog } = (await import(file)) as { closedChangelog: typeof closedChangelog });
  });

  it('closes the section of what is unreleased, once', () => {
    const older = '\n## 0.1.0 (2026-01-02)\n\n- Old.\n';
    const open = `# Changelog\n\n## 0.2.0 (unreleased)\n\n- New.\n${older}`;
    const closed = `# Changelog\n\n## 0.2.0 (2026-03-04)\n\n- New.\n${older}`;
    expect(closedChangelog(open, '0.2.0', '2026-03-04')).toBe(closed);
    expect(closedChangelog(closed, '0.2.0', '2026-05-06')).toBe(closed);
    expect(closedChangelog(open, '1.0.0', '2026-03-04')).toBe(closed.replace('0.2.0', '1.0.0'));
    expect(() => closedChangelog(closed, '0.3.0', '2026-05-06')).toThrow(
      /what is unreleased, or of 0\.3\.0; it is 0\.2\.0 \(2026-03-04\)/,
    );
    expect(() => closedChangelog('# Changelog\n', '0.3.0', '2026-05-06')).toThrow(/it is missing/);
  });

  it.each([[[]], [['1']], [['1.0.0', '--dryrun']], [['1.0.0', '1.0.1']]])(
    'wants one version, and no other option: %s',
    (args) => {
      const { status, stderr } = run(process.execPath, ['scripts/release.mjs', ...args]);
      expect(status).toBe(2);
      expect(stderr).toBe('usage: npm run release -- VERSION [--dry-run]\n');
    },
  );
});
