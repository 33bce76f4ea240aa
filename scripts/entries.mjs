import { readFileSync } from 'node:fs';

/** The package's description. */
export const PACKAGE = JSON.parse(readFileSync(new URL('../package.json', import.meta.url)));

/**
 * The package's entry points, as package.json has them: the name that programs use, the folder of `src` whose `index.ts` it
 * is ('' for the whole), and the conditions.
 */
export const ENTRIES = Object.entries(PACKAGE.exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([subpath, conditions]) => {
    const room = subpath.slice(2);
    return { name: room === '' ? PACKAGE.name : `${PACKAGE.name}/${room}`, room, conditions };
  });
