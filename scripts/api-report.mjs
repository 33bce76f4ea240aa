// Writes what is public, a signature each, to etc/: `npm run api`. With --check it only tells where etc/ is not up to date.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { PACKAGE } from './entries.mjs';
import { ENTRY_FILES } from './public-api.mjs';
import { run } from './run.mjs';

const MADE = 'build/api';
const KEPT = 'etc';
const isCheck = process.argv.includes('--check');

const silent = { default: { logLevel: 'none' } };
const reports = ENTRY_FILES.map(({ name, file }) => {
  const report = `${name.replace('/', '-')}.api.md`;
  const compilerOptions = {
    ...{ module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022', types: ['node'] },
    ...{ lib: ['es2023', 'esnext.disposable'], strict: true, skipLibCheck: true },
    ...{ exactOptionalPropertyTypes: true, esModuleInterop: true },
  };
  const config = ExtractorConfig.prepare({
    packageJsonFullPath: resolve('package.json'),
    configObjectFullPath: undefined,
    configObject: {
      ...{ projectFolder: resolve('.'), mainEntryPointFilePath: resolve(file), newlineKind: 'lf' },
      compiler: { overrideTsconfig: { compilerOptions, files: [resolve(file)] } },
      apiReport: {
        ...{ enabled: true, reportFileName: report },
        // Types that cannot be named are part of what is public too; those of HTTP's are in the whole's report.
        includeForgottenExports: name === PACKAGE.name,
        ...{ reportFolder: resolve(MADE), reportTempFolder: resolve(MADE, 'temporary') },
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      // What has no docstring is told by check-docs.mjs; places in files would change with every comment.
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: silent,
        tsdocMessageReporting: silent,
      },
    },
  });
  return { report, config };
});

rmSync(MADE, { recursive: true, force: true });
mkdirSync(MADE, { recursive: true });
mkdirSync(KEPT, { recursive: true });
const [first, ...others] = reports.map(({ config }) => config);
const additionalEntryPoints = others.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath);
const compilerState = CompilerState.create(first, { additionalEntryPoints });
for (const { report, config } of reports) {
  const errors = [];
  Extractor.invoke(config, {
    ...{ compilerState, localBuild: true },
    messageCallback: (message) => {
      if (message.logLevel === 'error') errors.push(message.text);
      message.handled = true;
    },
  });
  const made = join(MADE, report);
  const kept = join(KEPT, report);
  if (errors.length > 0) {
    process.stdout.write(`${report}: ${errors.join('\n')}\n`);
    process.exitCode = 1;
  } else if (!isCheck) {
    copyFileSync(made, kept);
  } else {
    if (existsSync(kept) && readFileSync(kept).equals(readFileSync(made))) continue;
    const { output } = await run('diff', ['-u', '-N', kept, made]);
    process.stdout.write(`${output}\n${kept} is not what is exported: npm run api writes it\n`);
    process.exitCode = 1;
  }
}
