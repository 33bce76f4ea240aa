// Puts what pages are made of, which is not compiled, beside what is.

import { cpSync } from 'node:fs';

for (const folder of ['http/page', 'evaluation/report']) {
  cpSync(`src/${folder}`, `dist/${folder}`, { recursive: true });
}
