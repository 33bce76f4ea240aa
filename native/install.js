// What `npm install` runs: takes the prebuilt addon where one loads on this machine, else builds one from the sources
// (by node-gyp-build, which calls node-gyp), and where that fails says what it needs.
'use strict';

const { spawnSync } = require('node:child_process');

const { status } = spawnSync(process.execPath, [require.resolve('node-gyp-build/bin.js')], {
  stdio: 'inherit',
  // node-gyp compiles on as many processors as there are.
  env: { JOBS: 'max', ...process.env },
});
if (status !== 0) {
  process.stderr.write(
    `lichen: no prebuilt addon loads on this machine (${process.platform}-${process.arch}; there are ones for Linux x64 ` +
      'and arm64 with glibc 2.28 or later), and building one failed. That needs a C++20 compiler, make and Python 3 ' +
      "(Debian and Ubuntu: apt-get install g++ make python3); then 'npm rebuild lichen' does it.\n",
  );
  process.exitCode = 1;
}
