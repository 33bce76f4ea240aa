// Puts the files of the service's page, which are not compiled, beside what is.

import { cpSync } from 'node:fs';

cpSync('src/http/page', 'dist/http/page', { recursive: true });
