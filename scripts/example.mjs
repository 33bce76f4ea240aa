// `npm run example -- NAME [options]`: runs examples/NAME/main.ts.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [name, ...options] = process.argv.slice(2);
const names = readdirSync('examples', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const file = join('examples', name ?? '', 'main.ts');
if (!names.includes(name) || !existsSync(file)) {
  process.stderr.write(`expected one of ${names.join(', ')}: npm run example -- ${names[0]}\n`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, ['--import', 'tsx', file, ...options], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
